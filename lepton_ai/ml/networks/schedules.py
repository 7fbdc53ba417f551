"""Learning-rate schedules, as a table: the share of a fit that is done -> a factor; a leaf."""

import math
from collections.abc import Callable

__all__ = ["SCHEDULES"]

_WARM = 0.3
_FIRST = 1 / 25
_LAST = 1e-4


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _one_cycle(done: float) -> float:
    """Rise for three tenths of the fit, then fall to nearly nothing (Smith and Topin, 2018)."""
    if done < _WARM:
        return _between(_FIRST, 1.0, done / _WARM)
    return _between(1.0, _LAST, (done - _WARM) / (1 - _WARM))


def _cosine(done: float) -> float:
    """Fall from the start, without restarts (Loshchilov and Hutter, 2017)."""
    return _between(1.0, 0.0, done)


def _constant(done: float) -> float:
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {
    "one-cycle": _one_cycle,
    "cosine": _cosine,
    "constant": _constant,
}
