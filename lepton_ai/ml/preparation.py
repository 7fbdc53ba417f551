"""Preparation: everything between what a caller sends and the matrix that a model reads.

The fitted encoding with the image transforms, or the fitted recipe, before it. Training, evaluation
and serving call the same methods. Features end as float32 numbers, so every form of a model reads
the same ones.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.data.columns import columns_of, dates
from lepton_ai.data.encoding import Encoding
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.transforms import Transform, apply_transforms, transforms_from
from lepton_ai.ml.forecasting.calendar import CALENDAR_CHANNELS as _CLOCK
from lepton_ai.ml.forecasting.calendar import calendar_channels
from lepton_ai.ml.steps import last_window

if TYPE_CHECKING:
    from lepton_ai.data.recipes.serving import Front

__all__ = ["Preparation", "as_features"]

_MILLISECONDS = 86_400_000
_LARGEST = float(np.finfo(np.float32).max)


class Preparation(Struct, frozen=True):
    """Transforms of single images, then the encoding; for tables and arrays the encoding alone.

    Attributes:
        encoding: fitted on the training rows.
        transforms: applied to each image first.
        meta: what to assume of an image that comes as bare numbers: axes, channels, pixel type.
        front: for tables, the fitted recipe that columns go through first.
        window: how many steps of a series make a row of features; 0 where rows stand alone.
        clock: the column of moments whose time of day and weekday are features of each step.
    """

    encoding: Encoding
    transforms: tuple[Transform, ...] = ()
    meta: ImageMeta | None = None
    front: "Front | None" = None
    window: int = 0
    clock: str | None = None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """How a row of features folds: as an image, or as (window, features of a step)."""
        if not self.window:
            return self.encoding.shape
        return (self.window, len(self.encoding.feature_names) + _CLOCK * (self.clock is not None))

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature; in a window, those of the last step as they are."""
        names = list(self.encoding.feature_names)
        if self.clock is not None:
            names += [f"{self.clock}: share of the day", f"{self.clock}: weekday"]
        ages = range(self.window - 1, 0, -1)
        return [f"{name} {age} steps before" for age in ages for name in names] + names

    def table(self, data: Any) -> NDArray[np.float64]:
        """Return features (rows, features) of a frame, of columns by name, or of records.

        Where rows are windows, these are the features of single steps.

        Raises:
            InvalidInput: a column is missing, unknown or of the wrong type.
        """
        beside: NDArray[np.float64] | None = None
        if self.clock is not None:
            data, beside = _clocked(data, self.clock)
        if self.front is not None:
            data = self.front.apply(data)
        matrix = as_features(self.encoding.apply(data))
        return matrix if beside is None else np.concatenate([matrix, beside], axis=1)

    def series(self, series: Sequence[Any]) -> NDArray[np.float64]:
        """Return features (series, features) of series, each a list of records or columns.

        Of each the last steps count, oldest first; a short one's first step is repeated.

        Raises:
            InvalidInput: a series is empty, or a value is missing, unknown or of the wrong type.
        """
        rows = []
        for number, steps in enumerate(series):
            if not len(steps):
                raise InvalidInput(f"series {number} has no step; it needs at least one record")
            rows.append(last_window(self.table(steps[-self.window :]), self.window))
        return np.stack(rows)

    def arrays(self, data: Any) -> NDArray[np.float64]:
        """Return features (rows, features) of rows of numbers (rows, ...).

        Raises:
            InvalidInput: the rows have another shape than in training.
        """
        return as_features(self.encoding.apply(np.asarray(data)))

    def images(
        self, arrays: Sequence[NDArray[Any]], metas: Sequence[ImageMeta]
    ) -> NDArray[np.float64]:
        """Return features (images, features) of decoded images.

        Args:
            arrays: the images as their files hold them.
            metas: what their headers say.

        Raises:
            InvalidInput: an image does not come to the shape of training; the message says why.
        """
        pairs = zip(arrays, metas, strict=True)
        changed = [apply_transforms(self.transforms, array, meta) for array, meta in pairs]
        for array in changed:
            if array.shape != self.encoding.shape:
                raise InvalidInput(
                    f"the model was trained on images that come to the shape "
                    f"{self.encoding.shape}; "
                    f"this one comes to {array.shape}"
                )
        return self.arrays(np.stack(changed))

    def tensors(self, tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return features (rows, features) of named tensors, as a request carries them.

        Raises:
            InvalidInput: a name is missing or unknown, or a shape does not fit.
        """
        if self.window:
            return self._stepped(tensors)
        if self.encoding.shape is None:
            return self.table({name: _column(name, tensor) for name, tensor in tensors.items()})
        name = "X" if self.meta is None else "image"
        if tensors.keys() != {name}:
            raise InvalidInput(f"the model takes one input {name!r}; got {sorted(tensors)}")
        if self.meta is None:
            return self.arrays(tensors[name])
        assumed = self.meta
        metas = [msgspec.structs.replace(assumed, shape=image.shape) for image in tensors[name]]
        return self.images(list(tensors[name]), metas)

    def _stepped(self, tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return features of columns (rows, steps) of as many series as there are rows."""
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if len(set(shapes.values())) != 1 or any(len(shape) != 2 for shape in shapes.values()):
            raise InvalidInput(f"each input must be (series, steps), all alike; they are {shapes}")
        ((count, steps),) = set(shapes.values())
        if not steps:
            raise InvalidInput("a series needs at least one step")
        matrix = self.table({name: tensor.reshape(-1) for name, tensor in tensors.items()})
        each = matrix.reshape(count, steps, -1)
        return np.stack([last_window(one, self.window) for one in each])

    def to_json(self) -> bytes:
        """Return all of it as JSON; equal preparations give equal bytes."""
        parts = {name: getattr(self, name) for name in ("encoding", "transforms", "meta")}
        if self.window:
            parts |= {"window": self.window, "clock": self.clock}
        return msgspec.json.encode(parts if self.front is None else parts | {"front": self.front})

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a preparation back, exactly as it was.

        Raises:
            Corrupt: the bytes are no preparation.
        """
        try:
            parts = msgspec.json.decode(data, type=_Parts)
            transforms = transforms_from(parts.transforms)
        except (msgspec.DecodeError, InvalidInput, RecursionError) as error:
            raise Corrupt(f"not a preparation: {error}") from error
        front = None if parts.front == _NONE else _front(parts.front)
        encoding = Encoding.from_json(parts.encoding)
        return cls(encoding, transforms, parts.meta, front, parts.window, parts.clock)


_NONE = msgspec.Raw(b"null")


class _Parts(Struct):
    encoding: msgspec.Raw
    transforms: list[Any] = []
    meta: ImageMeta | None = None
    front: msgspec.Raw = _NONE
    window: Annotated[int, Meta(ge=0, le=2**20)] = 0
    clock: str | None = None


def _front(data: msgspec.Raw) -> "Front":
    # Recipes bring a table engine, which a model without one does not need.
    from lepton_ai.data.recipes.serving import Front

    try:
        return msgspec.json.decode(data, type=Front)
    except msgspec.DecodeError as error:
        raise Corrupt(f"not a recipe in front of a model: {error}") from error


def as_features(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round features to float32 numbers, those beyond its range to the largest; stays float64."""
    rounded = np.clip(matrix, -_LARGEST, _LARGEST).astype(np.float32)
    return rounded.astype(np.float64)


def _column(name: str, tensor: NDArray[Any]) -> NDArray[Any]:
    """A column may come as (rows,) or, as some clients of the protocol write it, (rows, 1)."""
    if tensor.ndim == 2 and tensor.shape[1] == 1:
        return tensor[:, 0]
    if tensor.ndim != 1:
        raise InvalidInput(f"input {name!r} must have one value a row; its shape is {tensor.shape}")
    return tensor


def _clocked(data: Any, clock: str) -> tuple[Any, NDArray[np.float64]]:
    """Take the moments out of data, and return the rest and their calendar channels."""
    if isinstance(data, Mapping):
        columns: Mapping[str, Any] = data
    elif isinstance(data, list | tuple):
        columns = {}
        moments = [row.get(clock) if isinstance(row, Mapping) else None for row in data]
        rest: Any = [{name: value for name, value in row.items() if name != clock} for row in data]
        return rest, _channels(clock, moments)
    else:
        columns = columns_of(data)
    if clock not in columns:
        raise InvalidInput(f"the column {clock!r} is missing; it says when each step was")
    others = {name: values for name, values in columns.items() if name != clock}
    return others, _channels(clock, columns[clock])


def _channels(clock: str, values: Any) -> NDArray[np.float64]:
    days = dates(clock, values)
    if np.isnan(days).any():
        raise InvalidInput(f"{clock!r} is missing in step {int(np.isnan(days).argmax())}")
    moments = np.round(days * _MILLISECONDS).astype("datetime64[ms]")
    return calendar_channels(moments).astype(np.float64)
