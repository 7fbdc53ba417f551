"""Asking: rows of any kind a model takes, as its explanations read them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.columns import columns_of, is_frame
from lepton_ai.data.images.imageset import Image, ImageSet
from lepton_ai.data.table import Table
from lepton_ai.data.transforms import apply_transforms
from lepton_ai.ml.explanation.space import ArraySpace, TableSpace
from lepton_ai.ml.preparation import Preparation
from lepton_ai.ml.preparing import features_of

__all__ = ["pixels_of", "rows_of"]


def rows_of(
    space: TableSpace | ArraySpace,
    preparation: Preparation,
    data: Any,
    hidden: Sequence[str] = (),
    *,
    groups: str | None = None,
    time: str | None = None,
) -> tuple[list[Any], bool]:
    """Return rows as a space holds them, and whether the data was one row.

    Args:
        space: of the model's explanations.
        preparation: of the model.
        data: a record, a list of them, a table or frame; an image, a list of them, an image set;
            a row of numbers (places,) or many; the steps of a series.
        hidden: columns that are not the model's to see.
        groups: where rows are windows, the column of the series.
        time: where rows are windows, the column of the order.

    Raises:
        InvalidInput: the data is of another kind.
    """
    if isinstance(space, TableSpace):
        return _records(data, hidden)
    if preparation.window:
        one = isinstance(data, list | tuple) and bool(data) and isinstance(data[0], Mapping)
        if one:
            clean = [{k: v for k, v in step.items() if k not in hidden or k == preparation.clock}
                     for step in data]  # fmt: skip
            return list(preparation.series([clean])), True
        return list(features_of(preparation, data, hidden, groups=groups, time=time)), False
    if preparation.meta is not None:
        return _images(preparation, data)
    array = data.to_numpy() if isinstance(data, Table) else np.asarray(data)
    assert space.shape is not None
    one = array.ndim == len(space.shape)
    rows = array[None] if one else array
    if rows.shape[1:] != space.shape or rows.dtype.kind not in "biuf":
        raise InvalidInput(
            f"the model takes numbers of shape (rows, {', '.join(map(str, space.shape))}); got "
            f"shape {array.shape} of {array.dtype}"
        )
    return list(rows.reshape(len(rows), -1).astype(np.float64)), one


def pixels_of(
    preparation: Preparation, arrays: Sequence[NDArray[Any]], metas: Sequence[Any]
) -> list[NDArray[np.float64]]:
    """Return decoded images as the encoding reads them, flattened.

    Raises:
        InvalidInput: an image does not come to the shape of training.
    """
    changed = [
        apply_transforms(preparation.transforms, array, meta)
        for array, meta in zip(arrays, metas, strict=True)
    ]
    for array in changed:
        if array.shape != preparation.encoding.shape:
            raise InvalidInput(
                f"the model was trained on images that come to the shape "
                f"{preparation.encoding.shape}; this one comes to {array.shape}"
            )
    return [np.asarray(array, dtype=np.float64).reshape(-1) for array in changed]


def _images(preparation: Preparation, data: Any) -> tuple[list[Any], bool]:
    if isinstance(data, ImageSet):
        images = data.with_transforms(preparation.transforms)
        if not len(images):
            raise InvalidInput(f"{images.ref} holds no images here; choose some")
        rows = [row for batch in images.batches() for row in batch.reshape(len(batch), -1)]
        return [np.asarray(row, dtype=np.float64) for row in rows], False
    one = isinstance(data, Image)
    images_given = [data] if one else list(data)
    if not images_given or not all(isinstance(image, Image) for image in images_given):
        raise InvalidInput(
            f"the model takes images: an image set, one of its images or a list of them; got "
            f"{type(data).__name__}"
        )
    found = pixels_of(
        preparation,
        [image.pixels for image in images_given],
        [image.meta for image in images_given],
    )
    return list(found), one


def _records(data: Any, hidden: Sequence[str]) -> tuple[list[Any], bool]:
    one = isinstance(data, Mapping) and not any(
        isinstance(value, list | tuple | np.ndarray) for value in data.values()
    )
    if one:
        records = [data]
    elif isinstance(data, list | tuple):
        records = list(data)
    elif isinstance(data, Table | Mapping) or is_frame(data):
        columns = columns_of(data.to_polars() if isinstance(data, Table) else data)
        kept = {name: column for name, column in columns.items() if name not in hidden}
        records = [
            dict(zip(kept, map(_known, row), strict=True))
            for row in zip(*kept.values(), strict=True)
        ]
    else:
        raise InvalidInput(
            "the model takes records: a mapping from column name to value, a list of them, a "
            f"table or a frame; got {type(data).__name__}"
        )
    for record in records:
        if not isinstance(record, Mapping):
            raise InvalidInput(
                "a record is a mapping from column name to value; got " + type(record).__name__
            )
    return [{k: v for k, v in record.items() if k not in hidden} for record in records], one


def _known(value: Any) -> Any:
    """Return a column's value as a record holds it; None where it is missing."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else value.item()
    if isinstance(value, np.generic):
        value = value.item()
    return None if value is None or value != value else value
