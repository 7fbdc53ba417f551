"""Image transforms as data: what an image set records and a model's endpoint repeats.

`Transform` is a tagged union, so a list of them is written as JSON and read back by msgspec.
Each is a pure function of an image, its metadata and its own fields; training and serving call
`apply_transforms`, so they cannot differ.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.denoising import Gaussian, Median, NonLocalMeans
from lepton_ai.data.geometry import CropOrPad, Pixels, Resample, Resize
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.intensity import CT_WINDOWS, Channels, Normalise, Rescale, Window

__all__ = [
    "CT_WINDOWS",
    "Channels",
    "CropOrPad",
    "Gaussian",
    "Median",
    "NonLocalMeans",
    "Normalise",
    "Resample",
    "Rescale",
    "Resize",
    "Transform",
    "Window",
    "apply_transforms",
    "transforms_from",
]

Transform = (
    Window
    | Rescale
    | Normalise
    | Channels
    | Gaussian
    | Median
    | NonLocalMeans
    | Resample
    | Resize
    | CropOrPad
)


def apply_transforms(
    transforms: Iterable[Transform], array: NDArray[Any], meta: ImageMeta
) -> Pixels:
    """Return the image after all transforms, as float32.

    Args:
        transforms: in the order they are applied.
        array: the decoded image; its shape is ``meta.shape``. Pixels that are not finite (NIfTI
            files hold them outside the body) first take the lowest finite value.
        meta: of the decoded image: spacing, channels and pixel type count.

    Raises:
        InvalidInput: a transform needs what the image lacks, such as a spacing in mm.
    """
    if array.size == 0:
        raise InvalidInput(f"the image has no pixels: its shape is {array.shape}")
    pixels = array.astype(np.float32)
    finite = np.isfinite(pixels) if array.dtype.kind in "fc" else None
    if finite is not None and not finite.all():
        pixels[~finite] = pixels[finite].min() if finite.any() else 0
    for transform in transforms:
        pixels, meta = transform.apply(pixels, meta)
    return np.ascontiguousarray(pixels)


def transforms_from(data: Any) -> tuple[Transform, ...]:
    """Read transforms from what JSON holds: a list of objects, each with its ``type``.

    Raises:
        InvalidInput: a transform or one of its fields is unknown or out of range.
    """
    try:
        return msgspec.convert(data, tuple[Transform, ...])
    except msgspec.ValidationError as error:
        raise InvalidInput(f"not a list of image transforms: {error}") from error
