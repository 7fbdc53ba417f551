"""What is known of an image that was read: its files, its geometry, its label.

The structs are what a data set's manifest is made of; they are written as JSON by msgspec,
so every field holds plain values.
"""

from msgspec import Struct

__all__ = ["ImageEntry", "ImageMeta", "Part", "Rejected"]


class ImageMeta(Struct, frozen=True, omit_defaults=True):
    """What the header of an image says, in array order.

    ``shape`` is that of the decoded array: ``(y, x)``, ``(z, y, x)`` or ``(t, z, y, x)``, then 3
    for colour. ``spacing`` has one figure in mm for each *space* axis of the array, so ``(y, x)``
    or ``(z, y, x)``. ``origin`` and ``direction`` are SimpleITK's: the place of the first pixel,
    and a 3 x 3 matrix, row by row, whose columns are the unit vectors of the x, y and z axes,
    both in DICOM's patient coordinates (LPS: left, posterior, superior).

    ``attributes`` holds a few further facts as text: ``TransferSyntaxUID``, ``WindowCenter`` and
    such under their DICOM keywords, and in lower case what reading found: ``inverted``,
    ``gantry_tilt``, ``irregular_spacing``, ``duplicate_positions``, ``ordered_by``, ``units``.
    """

    shape: tuple[int, ...]
    dtype: str
    channels: int = 1
    modality: str | None = None
    spacing: tuple[float, ...] | None = None
    origin: tuple[float, float, float] | None = None
    direction: tuple[float, float, float, float, float, float, float, float, float] | None = None
    patient: str | None = None
    study: str | None = None
    series: str | None = None
    attributes: dict[str, str] = {}


class Part(Struct, frozen=True):
    """One source file of an image: where it lay in the folder, and where its bytes are kept.

    ``path`` is relative to the folder that was read, with ``/``; ``sha256`` is hexadecimal;
    ``address`` is the object's address in the store; ``size`` counts bytes.
    """

    path: str
    sha256: str
    address: str
    size: int


class ImageEntry(Struct, frozen=True, omit_defaults=True):
    """One image of a set: how its files become pixels, and what is known of it.

    ``parts`` lie in geometric order. ``index`` is the row of a stack of images that one file
    holds, else None: then the file, or the series, is one image. ``group`` names what must not be
    torn apart by a split: the patient, or the path. ``pixels`` is the sha256 of shape, dtype and
    decoded pixels; ``fingerprint`` is a 64-bit perceptual hash: few differing bits, alike images.
    """

    id: str
    reader: str
    parts: tuple[Part, ...]
    meta: ImageMeta
    pixels: str
    fingerprint: int
    index: int | None = None
    label: str | None = None
    group: str | None = None


class Rejected(Struct, frozen=True):
    """A file that was kept aside: its path, a reason to count by, and the detail.

    ``reason`` is one of ``unreadable``, ``truncated``, ``encrypted``, ``hostile``, ``too large``,
    ``unsupported``, ``no pixels``, ``special file``, ``duplicate``, ``missing``.
    """

    path: str
    reason: str
    detail: str
