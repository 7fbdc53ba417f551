"""Fitting of a preparation: from examples to the matrix that a model learns from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data import tables
from lepton_ai.data.columns import Kind, columns_of, texts
from lepton_ai.data.encoders import Boolean, Number
from lepton_ai.data.encoding import Encoding
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.table import Table
from lepton_ai.data.transforms import Channels, Resize, Transform
from lepton_ai.ml.bundle.signature import Datatype, Field, Signature
from lepton_ai.ml.examples import Examples, order_of
from lepton_ai.ml.preparation import Preparation, as_features
from lepton_ai.ml.steps import windows_of

if TYPE_CHECKING:
    from lepton_ai.data.recipes import Recipe

__all__ = ["evenly", "features_of", "fit_behind", "fit_preparation", "in_windows", "signature_of"]

Matrix = NDArray[np.float64]
Rows = NDArray[np.int64]

# A classical model reads every pixel as a feature, which stops paying long before the resolution
# of a detector: larger images are brought to this many pixels along each axis of a plane (2) or
# a volume (3), blurred first so that nothing aliases. A network of convolutions is given more.
_MOST_VALUES = 128 * 128
_GRID = {2: 64, 3: 24}
_FINE_GRID = {2: 128, 3: 40}


def fit_preparation(
    examples: Examples,
    *,
    scaled: bool,
    components: int | float | None,
    kinds: Mapping[str, Any] | None,
    fine: bool = False,
) -> tuple[Preparation, Matrix]:
    """Learn the preparation of some examples and return it with their features.

    Args:
        examples: the training rows.
        scaled: whether features are standardised.
        components: principal components to project on; see `Encoding.fit`.
        kinds: of columns; see `Encoding.fit`.
        fine: whether large images keep more of their pixels.

    Raises:
        InvalidInput: the data does not become a matrix; the message says why.
    """
    options: dict[str, Any] = {"standardise": scaled, "components": components}
    if isinstance(examples.dataset, ImageSet):
        if kinds is not None:
            raise InvalidInput("kinds= is about the columns of a table; leave it out for images")
        stack, transforms = _stack(examples.dataset, _FINE_GRID if fine else _GRID)
        encoding = Encoding.fit(stack, **options)
        metas = [entry.meta for entry in examples.dataset.entries]
        fitted = Preparation(encoding, transforms, _usual(metas))
        return fitted, fitted.arrays(stack)
    if examples.matrix is not None:
        if kinds is not None:
            raise InvalidInput("kinds= is about named columns; pass a frame instead of an array")
        fitted = Preparation(Encoding.fit(examples.matrix, **options))
        return fitted, fitted.arrays(examples.matrix)
    assert examples.columns is not None
    chosen: dict[str, Kind] = dict(kinds or {})
    fitted = Preparation(Encoding.fit(examples.columns, chosen, **options))
    return fitted, fitted.table(examples.columns)


def fit_behind(
    recipe: "Recipe",
    examples: Examples,
    *,
    scaled: bool,
    components: int | float | None,
    kinds: Mapping[str, Any] | None,
) -> tuple[Preparation, Matrix, Rows]:
    """Learn a recipe of a table's rows, then the encoding of what it leaves.

    Args:
        recipe: what the columns go through first; what it has learned before is forgotten.
        examples: as in `fit_preparation`; so are the other arguments.

    Returns:
        The preparation, the features, and which rows the recipe left.

    Raises:
        InvalidInput: the data is no table, or the recipe cannot stand in front of a model.
    """
    from lepton_ai.data.recipes.join import joining_in
    from lepton_ai.data.recipes.serving import Front

    table = examples.dataset
    if not isinstance(table, Table) or examples.columns is None or examples.target is None:
        raise InvalidInput("a recipe is for the columns of a table; leave out recipe=")
    chosen: dict[str, Kind] = dict(kinds or {})
    target = table.to_polars([examples.target]).to_series()
    with joining_in(table.workspace):
        front, frame, left = Front.fit(
            recipe, examples.columns, tables.schema_of(table.dataset.facts["types"]), target
        )
    encoding = Encoding.fit(frame, chosen, standardise=scaled, components=components)
    front = front.asking([step.column for step in encoding.columns])
    return Preparation(encoding, front=front), as_features(encoding.apply(frame)), left


def features_of(
    preparation: Preparation,
    data: Any,
    leave_out: Sequence[str | None] = (),
    *,
    groups: str | None = None,
    time: str | None = None,
) -> Matrix:
    """Return the features of data of the kind that the preparation was fitted on.

    Args:
        preparation: of a model.
        data: an `ImageSet`, a `Table`, a frame, a list of records, or rows of numbers.
        leave_out: columns that are not the model's to see, such as the target's.
        groups: where rows are windows, the column that says which series a row belongs to; all
            rows are one series where the data has no such column.
        time: where rows are windows, the column of their order; they stand in order where the
            data has no such column.

    Raises:
        InvalidInput: the data is of another kind, or does not fit.
    """
    if preparation.meta is not None:
        if isinstance(data, ImageSet):
            images = data.with_transforms(preparation.transforms)
            if not len(images):
                raise InvalidInput(f"{images.ref} holds no images here; choose some")
            return np.concatenate([preparation.arrays(batch) for batch in images.batches()])
        return preparation.tensors({"image": np.asarray(data)})
    if isinstance(data, ImageSet):
        raise InvalidInput("the model takes rows of a table, not images")
    if preparation.encoding.shape is not None:
        return preparation.arrays(data.to_numpy() if isinstance(data, Table) else data)
    if isinstance(data, list | tuple) and preparation.window:
        if data and isinstance(data[0], list | tuple):
            return preparation.series(data)
        return features_of(
            preparation, _columns_of_records(data), leave_out, groups=groups, time=time
        )
    if isinstance(data, list | tuple):
        hidden = set(leave_out)
        records = [
            {name: value for name, value in row.items() if name not in hidden}
            if isinstance(row, Mapping)
            else row
            for row in data
        ]
        return preparation.table(records)
    columns = columns_of(data.to_polars() if isinstance(data, Table) else data)
    belongs, moments = columns.get(str(groups)), columns.get(str(time))
    for name in leave_out:
        if name != preparation.clock:
            columns.pop(str(name), None)
    matrix = preparation.table(columns)
    if not preparation.window:
        return matrix
    return windows_of(
        matrix,
        preparation.window,
        None if belongs is None else [str(value) for value in texts(belongs)],
        None if moments is None else order_of(moments, str(time)),
    )


def in_windows(
    preparation: Preparation, matrix: Matrix, examples: Examples, window: int
) -> tuple[Preparation, Matrix]:
    """Let each row of features be the window that ends at it."""
    made = msgspec.structs.replace(preparation, window=window)
    return made, windows_of(matrix, window, examples.groups, examples.times)


def signature_of(preparation: Preparation, outputs: tuple[Field, ...]) -> Signature:
    """Return what a model with this preparation takes, and that it gives these outputs."""
    encoding = preparation.encoding
    if preparation.meta is not None:
        axes = len(preparation.meta.shape)
        return Signature("image", (Field("image", "FP32", (-1,) * (axes + 1)),), outputs)
    if encoding.shape is not None:
        return Signature("array", (Field("X", "FP64", (-1, *encoding.shape)),), outputs)
    if preparation.window:
        return Signature("series", _stepped(preparation), outputs)
    if preparation.front is not None:
        types: dict[str, Datatype] = {"number": "FP64", "boolean": "BOOL"}
        kinds = preparation.front.kinds.items()
        fields = tuple(Field(name, types.get(kind, "BYTES"), (-1,)) for name, kind in kinds)
        return Signature("table", fields, outputs)
    inputs = tuple(
        Field(
            step.column,
            "FP64"
            if isinstance(step, Number)
            else "BOOL"
            if isinstance(step, Boolean)
            else "BYTES",
            (-1,),
        )
        for step in encoding.columns
    )
    return Signature("table", inputs, outputs)


def _stepped(preparation: Preparation) -> tuple[Field, ...]:
    """The inputs of a model of series: each column (series, steps)."""
    alone = signature_of(msgspec.structs.replace(preparation, window=0, clock=None), ())
    fields = tuple(Field(each.name, each.datatype, (-1, -1)) for each in alone.inputs)
    clock = preparation.clock
    return fields if clock is None else (Field(clock, "BYTES", (-1, -1)), *fields)


def _columns_of_records(records: Sequence[Any]) -> dict[str, list[Any]]:
    wrong = next((row for row in records if not isinstance(row, Mapping)), None)
    if wrong is not None:
        raise InvalidInput(f"a step is a record of columns by name; got {type(wrong).__name__}")
    names = dict.fromkeys(name for row in records for name in row)
    return {name: [row.get(name) for row in records] for name in names}


def _stack(images: ImageSet, grid: Mapping[int, int]) -> tuple[NDArray[Any], tuple[Transform, ...]]:
    """Return all images as (n, ...), and the transforms that bring one there.

    Where images are large, or differ in shape or channels, transforms are added that bring them
    to one small shape; each is shrunk as soon as it is decoded, so the whole never lies in memory.
    """
    if not len(images):
        raise InvalidInput(f"{images.ref} holds no images; there is nothing to learn from")
    usual = _usual([entry.meta for entry in images.entries])
    settled = [step.count for step in images.transforms if isinstance(step, Channels)]
    channels = settled[-1] if settled else usual.channels
    mixed = not settled and len({entry.meta.channels for entry in images.entries}) > 1
    chosen = images.transforms + ((Channels(1 if channels == 1 else 3),) if mixed else ())
    kept: list[NDArray[Any]] = []
    shrink: Resize | None = None
    for array in images.with_transforms(chosen).arrays():
        if shrink is None and (
            array.size > _MOST_VALUES or (kept and array.shape != kept[0].shape)
        ):
            axes = min(3, array.ndim - (channels > 1))
            shrink = Resize((grid.get(axes, 1),))
            kept = [_shrunk(shrink, small, channels) for small in kept]
        kept.append(array if shrink is None else _shrunk(shrink, array, channels))
    shapes = Counter(array.shape for array in kept)
    if len(shapes) > 1:
        raise InvalidInput(
            f"the images come to different shapes, {dict(shapes)}; choose those of one kind, or "
            "bring them to one shape with preprocess_images(images)"
        )
    return np.stack(kept), chosen if shrink is None else (*chosen, shrink)


def _shrunk(shrink: Resize, array: NDArray[Any], channels: int) -> NDArray[np.float32]:
    meta = ImageMeta(shape=array.shape, dtype="float32", channels=channels)
    return shrink.apply(array.astype(np.float32), meta)[0]


def _usual(metas: Sequence[ImageMeta]) -> ImageMeta:
    """Return the commonest shape, pixel type and channels: what bare numbers are taken for."""
    (shape, dtype, channels), _ = Counter(
        (meta.shape, meta.dtype, meta.channels) for meta in metas
    ).most_common(1)[0]
    return ImageMeta(shape=shape, dtype=dtype, channels=channels)


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Return at most so many places out of ``count``, spread evenly."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).astype(np.int64)
