"""Blanks: white space as Unicode has it, which the table engines do not agree on."""

import narwhals as nw

__all__ = ["single", "stripped"]

# White_Space of the Unicode Character Database; \s is less than that on some engines.
_BLANK = r"[\t-\r\x{85}\p{Z}]"


def single(column: nw.Expr) -> nw.Expr:
    """Return text with one space between words, and none around them."""
    return column.str.replace_all(f"{_BLANK}+", " ").str.strip_chars(" ")


def stripped(column: nw.Expr) -> nw.Expr:
    """Return text without blanks around it."""
    return column.str.replace_all(f"^{_BLANK}+|{_BLANK}+$", "")
