"""Words: numbers of things, as people write them."""

__all__ = ["counted", "first_line"]


def counted(count: int, noun: str) -> str:
    """Return ``1 row`` or ``2,000 rows``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def first_line(error: BaseException) -> str:
    """Return what an error of another library says first, in one line."""
    return " ".join(str(error).strip().partition("\n")[0].split())
