"""Transforms that take noise out of images: Gaussian, median and non-local means."""

from importlib import import_module

import numpy as np
from msgspec import Struct
from scipy import ndimage

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.geometry import Pixels, space_axes
from lepton_ai.data.images.image import ImageMeta

__all__ = ["Gaussian", "Median", "NonLocalMeans"]


class Gaussian(Struct, frozen=True, tag="gaussian"):
    """Blur by a Gaussian of ``sigma`` pixels of the finest axis.

    Where the spacing is known, the blur is equally wide in mm along each axis, so slices far
    apart are hardly mixed. Half a pixel takes the edge off noise and leaves 28 x 28 chest
    X-rays as easy to classify as before.
    """

    sigma: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise InvalidInput(f"sigma must be above 0 pixels; got {self.sigma}")

    def apply(self, array: Pixels, meta: ImageMeta) -> tuple[Pixels, ImageMeta]:
        """Return the blurred image."""
        axes = space_axes(array, meta)
        spacing = meta.spacing if meta.spacing and len(meta.spacing) == len(axes) else None
        sigma = np.zeros(array.ndim)
        sigma[axes] = self.sigma * (min(spacing) / np.array(spacing) if spacing else 1.0)
        return ndimage.gaussian_filter(array, sigma, mode="nearest"), meta


class Median(Struct, frozen=True, tag="median"):
    """Replace each pixel by the median of the ``size`` x ``size`` (x ``size``) around it.

    The choice against single bright or dark pixels; it also removes real details that small.
    """

    size: int = 3

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise InvalidInput(f"a median needs an odd size of 3 or more; got {self.size}")

    def apply(self, array: Pixels, meta: ImageMeta) -> tuple[Pixels, ImageMeta]:
        """Return the filtered image."""
        size = np.ones(array.ndim, dtype=int)
        size[space_axes(array, meta)] = self.size
        return ndimage.median_filter(array, tuple(size.tolist()), mode="nearest"), meta


class NonLocalMeans(Struct, frozen=True, tag="non-local means"):
    """Average pixels whose surroundings look alike; slow, and kind to edges.

    ``strength`` multiplies the noise that is measured in the image itself. The algorithm is that
    of Buades et al. (2005) in its fast form (Froment 2014), by scikit-image.
    """

    strength: float = 0.8
    patch: int = 5
    distance: int = 6

    def __post_init__(self) -> None:
        if not self.strength > 0 or self.patch < 1 or self.distance < 1:
            raise InvalidInput(
                "strength must be above 0, patch and distance 1 pixel or more; got "
                f"{self.strength}, {self.patch} and {self.distance}"
            )

    def apply(self, array: Pixels, meta: ImageMeta) -> tuple[Pixels, ImageMeta]:
        """Return the filtered image."""
        denoise = import_module("skimage.restoration").denoise_nl_means
        axes = space_axes(array, meta)
        frames = array if axes[0] == 1 else array[None]  # one time step after another
        output = np.empty_like(frames)
        for frame, target in zip(frames, output, strict=True):
            noise = _noise(frame, colour=meta.channels > 1)
            if noise == 0:
                target[...] = frame
                continue
            target[...] = denoise(
                frame,
                patch_size=self.patch,
                patch_distance=self.distance,
                h=self.strength * noise,
                sigma=noise,
                fast_mode=True,
                channel_axis=-1 if meta.channels > 1 else None,
            )
        return output.reshape(array.shape), meta


def _noise(frame: Pixels, *, colour: bool) -> float:
    """Estimate the standard deviation of white noise (Donoho & Johnstone 1994).

    The finest diagonal Haar coefficients of each plane hold next to nothing but noise.
    """
    planes = np.moveaxis(frame, -1, 0) if colour else frame
    rows, columns = planes.shape[-2] // 2 * 2, planes.shape[-1] // 2 * 2
    planes = planes[..., :rows, :columns].astype(np.float64)
    diagonal = (
        planes[..., ::2, ::2]
        - planes[..., 1::2, ::2]
        - planes[..., ::2, 1::2]
        + planes[..., 1::2, 1::2]
    ) / 2
    textured = np.abs(diagonal[diagonal != 0])  # an empty background is not a quiet one
    return float(np.median(textured) / 0.6744897501960817) if textured.size else 0.0
