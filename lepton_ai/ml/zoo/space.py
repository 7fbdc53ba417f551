"""Spaces: the values of a parameter that tuning may try, as data. A leaf."""

from msgspec import Struct

__all__ = ["Choice", "Real", "Space", "Whole"]


class Real(Struct, frozen=True):
    """A number between two ends, both among them.

    Attributes:
        log: whether its logarithm is drawn evenly: for what counts in factors.
    """

    low: float
    high: float
    log: bool = False


class Whole(Struct, frozen=True):
    """A whole number between two ends, both among them.

    Attributes:
        log: as of `Real`.
    """

    low: int
    high: int
    log: bool = False


class Choice(Struct, frozen=True):
    """One of some values."""

    values: tuple[str | int | float | bool | None, ...]


Space = Real | Whole | Choice
