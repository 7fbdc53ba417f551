"""Transforms of an image's grid: resampling to millimetres, resizing, cropping and padding.

Arrays are laid out as `ImageMeta` says: space axes ``(y, x)`` or ``(z, y, x)``, a time axis
before them, a colour axis of three after them. Time and colour are never mixed.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy import ndimage

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.images.image import ImageMeta

__all__ = ["CropOrPad", "Pixels", "Resample", "Resize", "space_axes"]

Pixels = NDArray[np.float32]
Figure = TypeVar("Figure", int, float)


class Resample(Struct, frozen=True, tag="resample"):
    """Resample linearly to a spacing in mm: one figure for all space axes, or one for each.

    The image's centre stays in its place, and pixels beyond the edge repeat the edge. A coarser
    grid is preceded by a Gaussian that keeps it from aliasing.
    """

    spacing: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.spacing or not all(0 < step < float("inf") for step in self.spacing):
            raise InvalidInput(f"spacing must be above 0 mm along each axis; got {self.spacing}")

    def apply(self, array: Pixels, meta: ImageMeta) -> tuple[Pixels, ImageMeta]:
        """Return the image on the new grid; an image without spacing is refused."""
        axes = space_axes(array, meta)
        if meta.spacing is None or len(meta.spacing) != len(axes):
            raise InvalidInput(
                "the image's file gives no spacing in mm, so it cannot be resampled to "
                f"{self.spacing} mm; give a size in pixels instead: preprocess_images(size=...)"
            )
        target = _for_axes(self.spacing, axes, "spacing")
        factors = [new / old for new, old in zip(target, meta.spacing, strict=True)]
        shape = [
            max(1, round(array.shape[axis] / factor))
            for axis, factor in zip(axes, factors, strict=True)
        ]
        sampled = _sample(array, axes, factors, shape)
        return sampled, replace(meta, shape=sampled.shape, spacing=tuple(target))


class Resize(Struct, frozen=True, tag="resize"):
    """Resize linearly to a shape in pixels, one figure for each space axis.

    The result is that of ``skimage.transform.resize(order=1, mode="edge", anti_aliasing=True)``.
    With ``keep_aspect`` one scale serves all axes (in mm where the spacing is known) and the rest
    is filled with the image's lowest value.
    """

    shape: tuple[int, ...]
    keep_aspect: bool = False

    def __post_init__(self) -> None:
        _check_shape(self.shape)

    def apply(self, array: Pixels, meta: ImageMeta) -> tuple[Pixels, ImageMeta]:
        """Return the resized image, its spacing scaled alike."""
        axes = space_axes(array, meta)
        target = _for_axes(self.shape, axes, "size")
        if not self.keep_aspect:
            return self._stretch(array, meta, axes, target)
        spacing = meta.spacing if meta.spacing and len(meta.spacing) == len(axes) else (1.0,)
        extents = [
            array.shape[axis] * step
            for axis, step in zip(axes, _for_axes(spacing, axes, "spacing"), strict=True)
        ]
        step = max(extent / size for extent, size in zip(extents, target, strict=True))
        fitted = [
            min(size, max(1, round(extent / step)))
            for extent, size in zip(extents, target, strict=True)
        ]
        stretched, meta = self._stretch(array, meta, axes, fitted)
        return CropOrPad(tuple(target)).apply(stretched, meta)

    @staticmethod
    def _stretch(
        array: Pixels, meta: ImageMeta, axes: Sequence[int], shape: Sequence[int]
    ) -> tuple[Pixels, ImageMeta]:
        factors = [array.shape[axis] / size for axis, size in zip(axes, shape, strict=True)]
        spacing = meta.spacing
        if spacing and len(spacing) == len(axes):
            spacing = tuple(step * factor for step, factor in zip(spacing, factors, strict=True))
        sampled = _sample(array, axes, factors, shape)
        return sampled, replace(meta, shape=sampled.shape, spacing=spacing)


class CropOrPad(Struct, frozen=True, tag="crop or pad"):
    """Cut or fill around the centre to a shape in pixels, without changing the scale.

    What is added holds the image's lowest value: the background of most modalities.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_shape(self.shape)

    def apply(self, array: Pixels, meta: ImageMeta) -> tuple[Pixels, ImageMeta]:
        """Return the image in the new frame."""
        axes = space_axes(array, meta)
        window = [slice(None)] * array.ndim
        margins = [(0, 0)] * array.ndim
        for axis, size in zip(axes, _for_axes(self.shape, axes, "crop"), strict=True):
            excess = array.shape[axis] - size
            if excess >= 0:
                window[axis] = slice(excess // 2, excess // 2 + size)
            else:
                margins[axis] = (-excess // 2, -excess - -excess // 2)
        framed = np.pad(array[tuple(window)], margins, constant_values=array.min())
        return framed, replace(meta, shape=framed.shape)


def space_axes(array: NDArray[np.generic], meta: ImageMeta) -> list[int]:
    """Return the numbers of the space axes: the last two or three before the colour axis."""
    end = array.ndim - (meta.channels > 1)
    if end < 2:
        raise InvalidInput(
            f"an image needs two or three space axes; got an array of shape {array.shape} "
            f"with {meta.channels} channel(s)"
        )
    return list(range(max(0, end - 3), end))


def _for_axes(values: Sequence[Figure], axes: Sequence[int], what: str) -> list[Figure]:
    if len(values) == 1:
        return [values[0]] * len(axes)
    if len(values) != len(axes):
        raise InvalidInput(
            f"{what} {tuple(values)} has {len(values)} figures, but the image has {len(axes)} "
            "space axes; give one figure, or one for each axis in the order (z, y, x) or (y, x)"
        )
    return list(values)


def _check_shape(shape: Sequence[int]) -> None:
    if not shape or not all(isinstance(size, int) and size >= 1 for size in shape):
        raise InvalidInput(
            f"a shape needs a whole number, 1 pixel or more, along each axis; got {tuple(shape)}"
        )


def _sample(
    array: Pixels, axes: Sequence[int], factors: Sequence[float], shape: Sequence[int]
) -> Pixels:
    """Take the image at every ``factor``-th pixel of each axis, on a grid with the same centre."""
    scale = np.ones(array.ndim)
    output = list(array.shape)
    for axis, factor, size in zip(axes, factors, shape, strict=True):
        scale[axis], output[axis] = factor, size
    if np.all(scale == 1) and tuple(output) == array.shape:
        return array
    blur = np.maximum(0, (scale - 1) / 2)
    if blur.any():
        array = ndimage.gaussian_filter(array, blur, mode="nearest")
    offset = (np.array(array.shape) - 1) / 2 - scale * (np.array(output) - 1) / 2
    sampled: Pixels = ndimage.affine_transform(
        array, scale, offset, output_shape=tuple(output), order=1, mode="nearest"
    )
    return sampled
