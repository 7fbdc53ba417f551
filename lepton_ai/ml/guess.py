"""Telling the task from the data, where a caller doesn't name it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.data.columns import columns_of, is_frame
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.table import Table
from lepton_ai.ml.task import CLASSIFICATION, CLUSTERING, FORECASTING, REGRESSION

__all__ = ["guess_task"]

# Whole numbers of at most so many values are classes, as scikit-learn's data sets have them.
_MOST_CLASSES = 20


def guess_task(data: Any, options: Mapping[str, Any]) -> str:
    """Return the task that data and options of a training ask for.

    Args:
        data: to learn from.
        options: of the training, by name.
    """
    if "horizon" in options or "history" in options:
        return FORECASTING.name
    target = options.get("target")
    if isinstance(data, ImageSet):
        if data.labels is None:
            return CLUSTERING.name
        return _of_values(np.asarray(data.labels, dtype=object))
    if isinstance(data, tuple) and len(data) == 2 and target is None:
        return _of_values(np.asarray(data[1]))
    if target is None:
        return CLUSTERING.name
    if not isinstance(target, str):
        return _of_values(np.asarray(target))
    if isinstance(data, Table):
        # A column that is not there is the training's to refuse.
        return (
            _of_values(columns_of(data.to_polars())[target])
            if target in data.columns
            else (CLASSIFICATION.name)
        )
    columns = columns_of(data) if is_frame(data) or isinstance(data, Mapping) else {}
    return _of_values(columns[target]) if target in columns else CLASSIFICATION.name


def _of_values(values: NDArray[Any]) -> str:
    """Measurements are regressed; words, truth values and few whole numbers are classes."""
    if values.dtype.kind not in "fiu":
        return CLASSIFICATION.name
    numbers = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    whole = bool((numbers % 1 == 0).all())
    few = len(np.unique(numbers)) <= _MOST_CLASSES
    return CLASSIFICATION.name if whole and few else REGRESSION.name
