"""Channels made of a machine's sensors, each of the past alone; a leaf.

A noisy sensor tells little in one step and much in its smoothed course and in how far it has moved
from where the machine began. Each function takes a record (steps, sensors) of one machine, oldest
step first, and gives the same shape, in which a step depends on no later one: a record that
is cut short gives the same numbers up to the cut.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from lepton_ai.core.errors import InvalidInput

__all__ = ["running_mean", "settled_mean", "smoothed"]

Record = NDArray[np.float64]


def smoothed(record: ArrayLike, weight: float) -> Record:
    """Return the exponentially weighted mean up to each step.

    The weights of the steps seen so far add up to one, so that the first steps are not pulled
    to zero.

    Args:
        record: (steps, sensors).
        weight: of the newest step, above 0 and at most 1; each older one has 1 - weight of the
            next one's.

    Raises:
        InvalidInput: the weight lies outside.
    """
    if not 0 < weight <= 1:
        raise InvalidInput(f"the weight of the newest step is above 0 and at most 1; got {weight}")
    values = np.asarray(record, dtype=np.float64)
    sums = lfilter([weight], [1.0, weight - 1.0], values, axis=0)
    total = 1 - (1 - weight) ** np.arange(1, len(values) + 1)
    return np.asarray(sums / total[:, np.newaxis])


def running_mean(record: ArrayLike) -> Record:
    """Return the mean of all steps up to each one."""
    values = np.asarray(record, dtype=np.float64)
    return np.asarray(values.cumsum(axis=0) / np.arange(1, len(values) + 1)[:, np.newaxis])


def settled_mean(record: ArrayLike, steps: int) -> Record:
    """Return the mean of the first steps, where the machine began: the running one until then.

    Raises:
        InvalidInput: `steps` is below 1.
    """
    if steps < 1:
        raise InvalidInput(f"the mean of the first steps needs 1 or more; got {steps}")
    means = running_mean(record)
    means[steps:] = means[steps - 1 : steps]
    return means
