"""The data elements of a DICOM file, found without decoding them (DICOM PS3.5 and PS3.10).

Reading a slice needs some thirty of its few hundred elements, so the walk only notes where
each one lies; values are decoded when asked for. It never goes outside the bytes it was given,
nests to a fixed depth, and gives up on absurd numbers of elements.
"""

import zlib
from collections.abc import Iterator, Mapping
from struct import Struct as Layout

from lepton_ai.data.images.failure import Unreadable

__all__ = ["PIXEL_DATA", "Elements", "is_dicom", "keywords", "read_elements"]

PIXEL_DATA = 0x7FE00010
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN"}
    | {b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_MAX_ELEMENTS = 100_000
_MAX_DEPTH = 32

_IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_EXPLICIT_BIG = "1.2.840.10008.1.2.2"

# What starts a program or an archive; a DICOM preamble that does is a trap (CVE-2019-11687).
# A TIFF header is not: whole-slide files may be both (PS3.10, section 7.1).
_TRAPS = (b"MZ", b"\x7fELF", b"#!", b"PK\x03\x04", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_OTHER_FORMATS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"<", b"BM", b"\x1f\x8b")


class Elements:
    """The top-level elements of a data set, by tag, as places in its bytes.

    ``places`` maps a tag to the offset, the length and the VR (empty where implicit) of its
    value; a length of None is undefined. ``syntax`` is the transfer syntax UID.
    """

    __slots__ = ("data", "depth", "explicit", "little", "places", "syntax")

    def __init__(self, data: bytes, syntax: str, *, little: bool, explicit: bool) -> None:
        self.data = data
        self.syntax = syntax
        self.little = little
        self.explicit = explicit
        self.depth = 0
        self.places: dict[int, tuple[int, int | None, bytes]] = {}

    def __contains__(self, tag: int) -> bool:
        return tag in self.places

    def raw(self, tag: int) -> bytes | None:
        """Return the bytes of a value; None where it is absent or of undefined length."""
        place = self.places.get(tag)
        if place is None or place[1] is None:
            return None
        return self.data[place[0] : place[0] + place[1]]

    def text(self, tag: int) -> str | None:
        """Return a value as text without padding, None where absent or empty."""
        value = self.raw(tag)
        if not value:
            return None
        return value.decode("latin-1").strip("\0 ") or None

    def numbers(self, tag: int) -> tuple[float, ...] | None:
        """Return a decimal or integer string as numbers, None where absent.

        Raises:
            Unreadable: a part of it is not a number.
        """
        text = self.text(tag)
        if text is None:
            return None
        try:
            return tuple(float(part) for part in text.split("\\"))
        except ValueError:
            raise Unreadable("unreadable", f"{_name(tag)} is {text[:40]!r}, no number") from None

    def number(self, tag: int) -> float | None:
        """Return the first number of a decimal or integer string."""
        values = self.numbers(tag)
        return values[0] if values else None

    def integer(self, tag: int) -> int | None:
        """Return an unsigned 16-bit value (US), None where absent."""
        value = self.raw(tag)
        if value is None or len(value) < 2:
            return None
        return int.from_bytes(value[:2], "little" if self.little else "big")

    def doubles(self, tag: int) -> tuple[float, ...] | None:
        """Return values of VR FD, None where absent."""
        value = self.raw(tag)
        if not value or len(value) % 8:
            return None
        order = "<" if self.little else ">"
        return Layout(f"{order}{len(value) // 8}d").unpack(value)

    def items(self, tag: int) -> Iterator["Elements"]:
        """Yield the items of a sequence; nothing where it is absent.

        Raises:
            Unreadable: the items are broken or nested too deeply.
        """
        place = self.places.get(tag)
        if place is None:
            return
        at, length, vr = place
        end = len(self.data) if length is None else at + length
        explicit = self.explicit and vr != b"UN"
        layout = Layout("<HHL" if self.little else ">HHL")
        while at + 8 <= end:
            group, element, size = layout.unpack_from(self.data, at)
            at += 8
            if group << 16 | element != _ITEM:
                return
            item = Elements(self.data, self.syntax, little=self.little, explicit=explicit)
            item.depth = self.depth + 1
            stop = end if size == _UNDEFINED else at + size
            if stop > end:
                raise Unreadable("truncated", f"an item of {_name(tag)} ends after its sequence")
            at = _walk(item, at, stop, nested=True)
            if size != _UNDEFINED:
                at = stop
            yield item


def is_dicom(data: bytes) -> bool:
    """Say whether bytes look like DICOM, with the preamble or (as older files) without."""
    if data[128:132] == b"DICM":
        return True
    if len(data) < 16 or data[1] or data[0] not in (2, 8):
        return bool(len(data) >= 16 and data[:2] == b"\0\x08" and data[4:6] in _LONG | _SHORT)
    if data[4:6] in _LONG | _SHORT:
        return True
    # Implicit VR: a first element of group 8 has a short value and is followed by its like.
    length = int.from_bytes(data[4:8], "little")
    following = data[8 + length : 10 + length]
    return length < 1024 and data[3] == 0 and following in (b"\2\0", b"\x08\0", b"\x10\0")


def read_elements(data: bytes, limit: int) -> Elements:
    """Find the elements of a DICOM file up to its pixels.

    Args:
        data: the whole file.
        limit: how many bytes a deflated data set may inflate to.

    Raises:
        Unreadable: it is no DICOM file, is cut short, or is built to do harm.
    """
    at = 0
    if data[128:132] == b"DICM":
        _check_preamble(data)
        at = 132
    meta = Elements(data, _EXPLICIT_LITTLE, little=True, explicit=True)
    if data[at : at + 2] == b"\2\0":
        at = _walk(meta, at, len(data), meta=True)
    syntax = meta.text(0x00020010)
    if syntax == _DEFLATED:
        data, at = _inflate(data[at:], limit), 0
    little, explicit = _encoding(data, at, syntax)
    default = _IMPLICIT_LITTLE if not explicit else _EXPLICIT_LITTLE if little else _EXPLICIT_BIG
    elements = Elements(data, syntax or default, little=little, explicit=explicit)
    elements.places.update(meta.places)
    _walk(elements, at, len(data))
    return elements


def _check_preamble(data: bytes) -> None:
    preamble = data[:128]
    if preamble.startswith(_TRAPS):
        raise Unreadable("hostile", f"the preamble starts a program: {preamble[:8]!r}")
    if preamble.startswith(_OTHER_FORMATS):
        raise Unreadable("hostile", f"the preamble is of another format: {preamble[:8]!r}")


def _inflate(data: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # The header comes on top of the pixels that the limit is meant for.
        result = inflater.decompress(data, limit + 2**20)
    except zlib.error as error:
        raise Unreadable("unreadable", f"the deflated data set is broken: {error}") from error
    if inflater.unconsumed_tail:
        raise Unreadable("too large", f"the data set inflates to more than {limit} bytes")
    return result


def _encoding(data: bytes, at: int, syntax: str | None) -> tuple[bool, bool]:
    """Say whether elements are little-endian and have explicit VRs, as they really lie."""
    explicit = data[at + 4 : at + 6] in _LONG | _SHORT
    little = syntax != _EXPLICIT_BIG
    if syntax is None:
        little = not (data[at] == 0 and data[at + 1 : at + 2] != b"\0")
    return little, explicit


def _walk(into: Elements, at: int, end: int, *, meta: bool = False, nested: bool = False) -> int:
    """Note the elements from ``at`` on, up to ``end``, the pixels or the end of an item."""
    if into.depth > _MAX_DEPTH:
        raise Unreadable("hostile", f"sequences nest more than {_MAX_DEPTH} deep")
    data, explicit, places = into.data, into.explicit, into.places
    order = "<" if into.little else ">"
    short, long = Layout(f"{order}HH2sH").unpack_from, Layout(f"{order}L").unpack_from
    whole = Layout(f"{order}HHL").unpack_from
    count = 0
    while at + 8 <= end:
        group, element, vr, length = short(data, at)
        if meta and group != 2:
            return at
        tag = group << 16 | element
        if not explicit or group == 0xFFFE or vr not in _SHORT:
            if explicit and vr in _LONG and group != 0xFFFE:
                if at + 12 > end:
                    break
                (length,) = long(data, at + 8)
                at += 4
            else:
                # An element of unknown VR inside explicit ones is an implicit one.
                length = whole(data, at)[2]
                vr = b""
        at += 8
        if group == 0xFFFE:
            if tag in (_ITEM_END, _SEQUENCE_END):
                return at
            raise Unreadable("unreadable", f"{_name(tag)} at byte {at - 8}, outside a sequence")
        if length == _UNDEFINED:
            places[tag] = (at, None, vr)
            if tag in _PIXELS and not nested:
                return at
            at = _skip(into, at, end, vr)
        else:
            if at + length > end:
                if tag in _PIXELS and not nested:
                    places[tag] = (at, end - at, vr)
                    return end
                raise Unreadable(
                    "truncated",
                    f"{_name(tag)} says {length} bytes, of which the file has {end - at}",
                )
            places[tag] = (at, length, vr)
            if tag in _PIXELS and not nested:
                return at
            at += length
        count += 1
        if count > _MAX_ELEMENTS:
            raise Unreadable("hostile", f"more than {_MAX_ELEMENTS} elements")
    if at < end and data[at:end].strip(b"\0"):
        raise Unreadable("truncated", f"the file ends inside an element, at byte {at}")
    return end


def _skip(parent: Elements, at: int, end: int, vr: bytes) -> int:
    """Return where a sequence of undefined length ends."""
    layout = Layout("<HHL" if parent.little else ">HHL")
    while at + 8 <= end:
        group, element, size = layout.unpack_from(parent.data, at)
        at += 8
        tag = group << 16 | element
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise Unreadable("unreadable", f"{_name(tag)} at byte {at - 8} is no sequence item")
        if size != _UNDEFINED:
            at += size
            continue
        item = Elements(
            parent.data,
            parent.syntax,
            little=parent.little,
            # Sequences of VR UN hold implicit elements (PS3.5, section 6.2.2, note 2).
            explicit=parent.explicit and vr != b"UN",
        )
        item.depth = parent.depth + 1
        at = _walk(item, at, end, nested=True)
    raise Unreadable("truncated", "the file ends inside a sequence")


def _name(tag: int) -> str:
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def keywords(elements: Elements, names: Mapping[str, int]) -> dict[str, str]:
    """Return those of the named elements that have a text, by name."""
    found = {name: elements.text(tag) for name, tag in names.items() if tag in elements}
    return {name: text for name, text in found.items() if text is not None}
