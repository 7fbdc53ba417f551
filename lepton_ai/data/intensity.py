"""Transforms of pixel values: windows, rescaling, normalisation and colour.

Each works on one image alone, so a test image never tells the training images anything.
"""

from typing import Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.geometry import Pixels
from lepton_ai.data.images.image import ImageMeta

__all__ = ["CT_WINDOWS", "Channels", "Normalise", "Rescale", "Window"]

# Centre and width in Hounsfield units, as radiology workstations preset them
# (radiopaedia.org, "Windowing (CT)"); "wide" holds everything from air to dense bone.
CT_WINDOWS: dict[str, tuple[float, float]] = {
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "soft tissue": (50.0, 400.0),
    "liver": (30.0, 150.0),
    "brain": (40.0, 80.0),
    "bone": (400.0, 1800.0),
    "wide": (0.0, 2000.0),
}


class Window(Struct, frozen=True, tag="window"):
    """Map the values ``centre - width/2 .. centre + width/2`` to 0..1, and clip the rest.

    DICOM's LINEAR_EXACT function (PS3.3, C.11.2.1.3.2); for CT both figures are in HU.
    """

    centre: float
    width: float

    def __post_init__(self) -> None:
        if not 0 < self.width < float("inf") or not np.isfinite(self.centre):
            raise InvalidInput(
                f"a window needs a finite centre and a width above 0; got centre {self.centre} "
                f"and width {self.width}"
            )

    def apply(self, array: Pixels, meta: ImageMeta) -> tuple[Pixels, ImageMeta]:
        """Return values from 0 to 1."""
        low = np.float32(self.centre - self.width / 2)
        return np.clip((array - low) / np.float32(self.width), 0, 1), meta


class Rescale(Struct, frozen=True, tag="rescale"):
    """Map ``low .. high`` to 0..1 without clipping.

    Left out, the two are the range of the file's pixel type: 0 and 255 for 8 bits. That keeps
    brightness comparable between photographs, which normalising each one would not.
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise InvalidInput(
                f"rescaling needs both low and high, or neither; got {self.low} and {self.high}"
            )
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise InvalidInput(f"low must be below high; got {self.low} and {self.high}")

    def apply(self, array: Pixels, meta: ImageMeta) -> tuple[Pixels, ImageMeta]:
        """Return values from 0 to 1, as far as they lie in the range."""
        if self.low is not None and self.high is not None:
            low, high = self.low, self.high
        else:
            kind = np.dtype(meta.dtype)
            if kind.kind == "b":
                low, high = 0.0, 1.0
            elif kind.kind in "iu":
                low, high = float(np.iinfo(kind).min), float(np.iinfo(kind).max)
            else:
                raise InvalidInput(
                    f"pixels of type {kind} have no range of their own to rescale from; give "
                    'Rescale(low, high), or normalise each image: normalise="percentile"'
                )
        return (array - np.float32(low)) / np.float32(high - low), meta


class Normalise(Struct, frozen=True, tag="normalise"):
    """Normalise one image by its own values; colours are scaled together, so hues stay.

    ``min-max`` maps lowest and highest to 0 and 1; ``percentile`` maps the percentiles ``lower``
    and ``upper`` to 0 and 1 and clips the rest; ``z-score`` subtracts the mean and divides by
    the standard deviation. An image of one value becomes all 0.
    """

    method: Literal["min-max", "percentile", "z-score"]
    lower: float = 1.0
    upper: float = 99.0

    def __post_init__(self) -> None:
        if self.method not in ("min-max", "percentile", "z-score"):
            raise InvalidInput(
                f"the method must be min-max, percentile or z-score; got {self.method!r}"
            )
        if not 0 <= self.lower < self.upper <= 100:
            raise InvalidInput(
                "percentiles must satisfy 0 <= lower < upper <= 100; got "
                f"{self.lower} and {self.upper}"
            )

    def apply(self, array: Pixels, meta: ImageMeta) -> tuple[Pixels, ImageMeta]:
        """Return the normalised image."""
        if self.method == "z-score":
            centre, spread = array.mean(dtype=np.float64), array.std(dtype=np.float64)
        elif self.method == "min-max":
            centre = float(array.min())
            spread = float(array.max()) - centre
        else:
            centre, high = np.percentile(array.astype(np.float64), [self.lower, self.upper])
            spread = high - centre
        # What rounding alone leaves of a constant image is no contrast.
        if not spread > 1e-7 * abs(centre):
            return np.zeros_like(array), meta
        scaled = (array - np.float32(centre)) / np.float32(spread)
        return (np.clip(scaled, 0, 1) if self.method == "percentile" else scaled), meta


class Channels(Struct, frozen=True, tag="channels"):
    """Make every image grey (1) or colour (3).

    Grey is luma by ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B), as Pillow's mode L; colour
    repeats grey three times.
    """

    count: Literal[1, 3]

    def __post_init__(self) -> None:
        if self.count not in (1, 3):
            raise InvalidInput(f"images have 1 channel or 3; got {self.count!r}")

    def apply(self, array: Pixels, meta: ImageMeta) -> tuple[Pixels, ImageMeta]:
        """Return the image with this many channels."""
        if meta.channels == self.count:
            return array, meta
        if self.count == 1:
            array = array @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        else:
            array = np.repeat(array[..., None], 3, axis=-1)
        return array, replace(meta, channels=self.count, shape=array.shape)
