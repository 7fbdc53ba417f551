"""What a DICOM file's header says of its pixels, of one slice or of many frames.

Sources: DICOM PS3.3 C.7.6.3 (pixels), C.7.6.16 (functional groups), C.8.8.3 (dose grids).
"""

import threading
import warnings
from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import pydicom
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.data.images import position
from lepton_ai.data.images.elements import PIXEL_DATA, Elements, keywords, read_elements
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.images.position import Arrangement, Place

__all__ = ["QUIET", "Header", "decoded_text", "read_header"]

_FLOAT_PIXELS = 0x7FE00008
_FLOATS = {_FLOAT_PIXELS: "f4", 0x7FE00009: "f8"}
_ATTRIBUTES = {
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
    "ImageType": 0x00080008,
    "BodyPartExamined": 0x00180015,
    "SliceThickness": 0x00180050,
    "FrameOfReferenceUID": 0x00200052,
    "PhotometricInterpretation": 0x00280004,
    "BitsStored": 0x00280101,
    "WindowCenter": 0x00281050,
    "WindowWidth": 0x00281051,
    "RescaleType": 0x00281054,
    "Units": 0x00541001,
    "DoseUnits": 0x30040002,
}
# What tells apart the volumes of one series that lie at the same positions, most telling first.
_RANKS = {
    "TemporalPositionIdentifier": 0x00200100,
    "DiffusionBValue": 0x00189087,
    "EchoTime": 0x00180081,
    "TriggerTime": 0x00181060,
    "AcquisitionNumber": 0x00200012,
    "AcquisitionTime": 0x00080032,
    "ContentTime": 0x00080033,
    "InstanceNumber": 0x00200013,
}
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_GREYS = ("MONOCHROME1", "MONOCHROME2")
# pydicom warns of what it mends, and the filters that silence it belong to the whole process:
# threads that call it take turns.
QUIET = threading.Lock()


class Header(Struct):
    """What a DICOM file's elements say of its pixels and their place.

    ``scales`` are the slope and intercept of the file, or of each frame; ``arrangement`` is the
    geometric order of the frames of a multi-frame file, None where it has no geometry.
    """

    elements: Elements
    rows: int
    columns: int
    frames: int
    samples: int
    allocated: int
    stored: int
    high: int
    signed: bool
    photometric: str
    planar: bool
    pixels: int
    scales: tuple[tuple[float, float], ...]
    place: Place
    arrangement: Arrangement | None

    @property
    def stored_type(self) -> np.dtype[Any]:
        """The dtype of the stored numbers, in this machine's byte order."""
        if self.pixels in _FLOATS:
            return np.dtype(_FLOATS[self.pixels])
        return np.dtype(f"{'i' if self.signed else 'u'}{max(self.allocated // 8, 1)}")

    @property
    def channels(self) -> int:
        """3 for colour, else 1."""
        return 3 if self.samples == 3 or self.photometric == "PALETTE COLOR" else 1

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and the highest number that BitsStored allows."""
        if self.signed:
            return -(1 << self.stored - 1), (1 << self.stored - 1) - 1
        return 0, (1 << self.stored) - 1

    @property
    def inverted(self) -> bool:
        """Whether low values are bright in the file."""
        return self.photometric == "MONOCHROME1" and self.pixels == PIXEL_DATA

    @property
    def uid(self) -> str | None:
        """The SOP instance UID."""
        return self.elements.text(0x00080018)

    @property
    def ranks(self) -> dict[str, float]:
        """Numbers that tell apart slices at one position."""
        return _ranks(self.elements)

    def meta(self, array: NDArray[Any]) -> ImageMeta:
        """Describe the decoded image."""
        elements = self.elements
        attributes = keywords(elements, _ATTRIBUTES)
        attributes["TransferSyntaxUID"] = elements.syntax
        if "BitsStored" in attributes:
            attributes["BitsStored"] = str(self.stored)
        attributes.update(self.place.facts)
        spacing: tuple[float, ...] | None = self.place.spacing
        if self.arrangement is not None:
            attributes.update(self.arrangement.facts)
            if spacing is not None and self.arrangement.spacing is not None:
                spacing = (self.arrangement.spacing, *spacing)
        elif self.frames > 1:
            attributes["ordered_by"] = "frame"
        if self.inverted:
            attributes["inverted"] = "MONOCHROME1"
            _move_window(attributes, self)
        axes = position.direction(self.place)
        return ImageMeta(
            shape=array.shape,
            dtype=array.dtype.name,
            channels=self.channels,
            modality=elements.text(0x00080060),
            spacing=spacing,
            origin=self.place.position,
            direction=axes,  # type: ignore[arg-type] # nine figures
            patient=decoded_text(elements, 0x00100020),
            study=elements.text(0x0020000D),
            series=elements.text(0x0020000E),
            attributes=attributes,
        )


def read_header(data: bytes, limit: int) -> Header:
    """Read what a DICOM file says of its pixels, and refuse what cannot be.

    Args:
        data: the whole file.
        limit: the largest decoded image in bytes.

    Raises:
        Unreadable: there are no pixels, the header lacks what decoding needs or contradicts
            itself, or the image would be larger than the limit.
    """
    elements = read_elements(data, limit)
    pixels = next((tag for tag in (PIXEL_DATA, *_FLOATS) if tag in elements), None)
    if pixels is None:
        kind = elements.text(0x00080060) or elements.text(0x00080016) or "unknown kind"
        raise Unreadable("no pixels", f"a DICOM object without an image ({kind})")
    rows, columns = _needed(elements, "Rows", 0x00280010), _needed(elements, "Columns", 0x00280011)
    allocated = _needed(elements, "BitsAllocated", 0x00280100)
    samples = elements.integer(0x00280002) or 1
    stored = elements.integer(0x00280101) or allocated
    high = elements.integer(0x00280102)
    count = elements.number(0x00280008)
    if count is None:
        count = 1.0
    if not (isfinite(count) and count == int(count) and 1 <= count < 2**31):
        raise Unreadable("unreadable", f"NumberOfFrames is {count:g}")
    frames = int(count)
    photometric = (elements.text(0x00280004) or "").upper()
    if allocated not in (1, 8, 16, 32, 64) or not 1 <= stored <= allocated:
        raise Unreadable("unsupported", f"{stored} bits stored in {allocated} allocated")
    if pixels in _FLOATS and allocated != (32 if pixels == _FLOAT_PIXELS else 64):
        raise Unreadable("unreadable", f"floating-point pixels with {allocated} bits allocated")
    if not photometric:
        photometric = "RGB" if samples == 3 else "MONOCHROME2"
    colour = samples == 3 and photometric in _COLOURS
    grey = samples == 1 and photometric in (*_GREYS, "PALETTE COLOR")
    if not (colour or grey):
        raise Unreadable("unsupported", f"{photometric or 'no'} colours in {samples} samples")
    width = 4 if samples == 1 and allocated >= 16 else max(allocated // 8, 1)
    size = rows * columns * frames * (3 if photometric == "PALETTE COLOR" else samples) * width
    if size > limit:
        raise Unreadable(
            "too large", f"{frames} x {rows} x {columns} x {samples} pixels are above {limit} bytes"
        )
    header = Header(
        elements=elements,
        rows=rows,
        columns=columns,
        frames=frames,
        samples=samples,
        allocated=allocated,
        stored=stored,
        high=high if high is not None and stored - 1 <= high < allocated else stored - 1,
        signed=elements.integer(0x00280103) == 1,
        photometric=photometric,
        planar=samples == 3 and elements.integer(0x00280006) == 1,
        pixels=pixels,
        scales=(_scale(elements),),
        place=position.place_of(elements),
        arrangement=None,
    )
    if frames > 1:
        _read_frames(header)
    return header


def _needed(elements: Elements, name: str, tag: int) -> int:
    value = elements.integer(tag)
    if not value:
        raise Unreadable("unreadable", f"{name} is {'0' if value == 0 else 'missing'}")
    return value


def _scale(elements: Elements) -> tuple[float, float]:
    """Return slope and intercept; a dose grid has a scaling instead."""
    dose = elements.number(0x3004000E)
    slope = dose if dose is not None else elements.number(0x00281053)
    intercept = elements.number(0x00281052) if dose is None else None
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    if not (isfinite(slope) and isfinite(intercept)) or slope == 0:
        raise Unreadable("unreadable", f"rescaling by slope {slope} and intercept {intercept}")
    return slope, intercept


def _ranks(elements: Elements) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, tag in _RANKS.items():
        try:
            doubles = elements.doubles(tag) if name == "DiffusionBValue" else None
            value = doubles[0] if doubles else elements.number(tag)
        except Unreadable:
            continue
        if value is not None and isfinite(value):
            found[name] = value
    return found


def decoded_text(elements: Elements, tag: int) -> str | None:
    """Return a text in the file's own character set, None where it is absent or empty."""
    raw = elements.raw(tag)
    if not raw:
        return None
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii").strip("\0 ") or None
    charset = elements.text(0x00080005) or "ISO_IR 100"
    with QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = pydicom.charset.convert_encodings(charset.split("\\"))
        text: str = pydicom.charset.decode_bytes(raw, names, set())
    return text.strip("\0 ") or None


def _move_window(attributes: dict[str, str], header: Header) -> None:
    """Turn the window's centre over with the values of an inverted image."""
    centres = header.elements.numbers(0x00281050)
    if centres is None or len(header.scales) > 1:
        return
    (slope, intercept), (lowest, highest) = header.scales[0], header.limits
    turned = slope * (lowest + highest) + 2 * intercept
    attributes["WindowCenter"] = "\\".join(f"{turned - centre:.10g}" for centre in centres)


def _read_frames(header: Header) -> None:
    """Read the places and scales of the frames of a multi-frame file."""
    elements = header.elements
    shared = next(iter(elements.items(0x52009229)), None)
    own = list(elements.items(0x52009230))
    if own and len(own) < header.frames:
        raise Unreadable("unreadable", f"{len(own)} frame descriptions of {header.frames}")
    offsets = elements.numbers(0x3004000C)
    places: list[Place] = []
    ranks: list[dict[str, float]] = []
    if own or shared is not None:
        scales = []
        for number in range(header.frames):
            groups = [own[number]] if own else []
            groups += [shared] if shared is not None else []
            places.append(_place_in(groups))
            ranks.append({"InstanceNumber": float(number)})
            scales.append(_scale_in(groups) or header.scales[0])
        header.scales = tuple(scales) if len(set(scales)) > 1 else (scales[0],)
    elif offsets is not None and len(offsets) == header.frames:
        upright = position.normal(header.place)
        first = header.place.position
        # Offsets are relative to the first frame, or (offset 0 not first) are the z itself.
        if upright is not None and first is not None and all(map(isfinite, offsets)):
            start = offsets[0]
            for number, offset in enumerate(offsets):
                x, y, z = (
                    at + (offset - start) * along for at, along in zip(first, upright, strict=True)
                )
                places.append(
                    Place((x, y, z), header.place.row, header.place.column, header.place.spacing)
                )
                ranks.append({"InstanceNumber": float(number)})
    if not places:
        return
    same = {(place.row, place.column, place.spacing) for place in places}
    header.place = Place(
        places[0].position,
        places[0].row,
        places[0].column,
        places[0].spacing or header.place.spacing,
        header.place.facts,
    )
    found = position.arrange(places, ranks) if len(same) == 1 else None
    if found is None or found.volumes > 1 or "duplicate_positions" in dict(found.facts):
        # Segments, time points or directions at equal places: they stay as the file has them.
        return
    header.arrangement = found
    header.place = Place(
        places[found.order[0]].position,
        header.place.row,
        header.place.column,
        header.place.spacing,
        header.place.facts,
    )


def _place_in(groups: Sequence[Elements]) -> Place:
    """Collect a frame's place from its functional groups, its own before the shared ones."""
    gathered = Elements(b"", "", little=True, explicit=True)
    found: dict[int, Place] = {}
    for tag in (0x00209113, 0x00209116, 0x00289110):  # position, orientation, measures
        for group in groups:
            item = next(iter(group.items(tag)), None)
            if item is not None:
                found[tag] = position.place_of(item)
                break
    empty = position.place_of(gathered)
    plane = found.get(0x00209116, empty)
    measures = found.get(0x00289110, empty)
    return Place(
        found.get(0x00209113, empty).position,
        plane.row,
        plane.column,
        measures.spacing,
        (*plane.facts, *measures.facts),
    )


def _scale_in(groups: Sequence[Elements]) -> tuple[float, float] | None:
    for group in groups:
        item = next(iter(group.items(0x00289145)), None)  # pixel value transformation
        if item is not None:
            return _scale(item)
    return None
