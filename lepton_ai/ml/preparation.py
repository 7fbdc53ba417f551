"""Preparation: everything between what a caller sends and the matrix that a model reads.

The fitted encoding with the image transforms, or the fitted recipe, before it. Training, evaluation
and serving call the same methods. Features end as float32 numbers, so every form of a model reads
the same ones.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.data.encoding import Encoding
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.transforms import Transform, apply_transforms, transforms_from

if TYPE_CHECKING:
    from lepton_ai.data.recipes.serving import Front

__all__ = ["Preparation", "as_features"]

_LARGEST = float(np.finfo(np.float32).max)


class Preparation(Struct, frozen=True):
    """Transforms of single images, then the encoding; for tables and arrays the encoding alone.

    Attributes:
        encoding: fitted on the training rows.
        transforms: applied to each image first.
        meta: what to assume of an image that comes as bare numbers: axes, channels, pixel type.
        front: for tables, the fitted recipe that columns go through first.
    """

    encoding: Encoding
    transforms: tuple[Transform, ...] = ()
    meta: ImageMeta | None = None
    front: "Front | None" = None

    def table(self, data: Any) -> NDArray[np.float64]:
        """Return features (rows, features) of a frame, of columns by name, or of records.

        Raises:
            InvalidInput: a column is missing, unknown or of the wrong type.
        """
        if self.front is not None:
            data = self.front.apply(data)
        return as_features(self.encoding.apply(data))

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

    def to_json(self) -> bytes:
        """Return all of it as JSON; equal preparations give equal bytes."""
        parts = {name: getattr(self, name) for name in ("encoding", "transforms", "meta")}
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
        except (msgspec.DecodeError, InvalidInput) as error:
            raise Corrupt(f"not a preparation: {error}") from error
        front = None if parts.front == _NONE else _front(parts.front)
        return cls(Encoding.from_json(parts.encoding), transforms, parts.meta, front)


_NONE = msgspec.Raw(b"null")


class _Parts(Struct):
    encoding: msgspec.Raw
    transforms: list[Any] = []
    meta: ImageMeta | None = None
    front: msgspec.Raw = _NONE


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
