"""What the first bytes of a JPEG, JPEG-LS or JPEG 2000 codestream say of the image inside.

Read before decoding: a decoder makes room for what the codestream claims, so its claim is
checked against the file's own header and the limit first.
"""

from struct import unpack_from

from msgspec import Struct

from lepton_ai.data.images.failure import Unreadable

__all__ = ["Codestream", "jpeg", "jpeg2000"]

# Start-of-frame markers: JPEG (ITU T.81, table B.1) and JPEG-LS (T.87).
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})


class Codestream(Struct, frozen=True):
    """Height, width, components and bit depth of one coded image, and how it was coded.

    ``names`` are the component identifiers and ``jfif`` tells of a JFIF marker: between them
    they say which colour space a JPEG is in. ``exif`` is the content of an Exif segment.
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False
    names: tuple[int, ...] = ()
    jfif: bool = False
    exif: bytes = b""


def jpeg(data: bytes) -> Codestream:
    """Read the markers of a JPEG or JPEG-LS codestream up to its frame header.

    Raises:
        Unreadable: it is no such codestream, or it is cut short.
    """
    if data[:2] != b"\xff\xd8":
        raise Unreadable("unreadable", f"a JPEG codestream starts with {data[:2]!r}")
    if b"\xff\xd9" not in data[-4096:]:
        # Decoders make up the missing rows of a JPEG that was cut short, so its end is asked for.
        raise Unreadable("truncated", "the JPEG codestream has no end marker")
    at, jfif, exif = 2, False, b""
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise Unreadable("unreadable", f"no JPEG marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if marker in _FRAMES:
            if len(body) < 6 or len(body) < 6 + 3 * body[5]:
                break
            precision, rows, columns, components = unpack_from(">BHHB", body)
            names = tuple(body[6 : 6 + 3 * components : 3])
            return Codestream(
                rows, columns, components, precision, names=names, jfif=jfif, exif=exif
            )
        if marker == 0xE0 and body.startswith(b"JFIF"):
            jfif = True
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = body
        at += 2 + length
    raise Unreadable("truncated", "the JPEG codestream has no frame header")


def jpeg2000(data: bytes) -> Codestream:
    """Read the SIZ marker of a JPEG 2000 codestream, bare or in a JP2 file (T.800, A.5.1).

    Raises:
        Unreadable: it is no such codestream, or it is cut short.
    """
    at = 0
    if data[:12].startswith(b"\0\0\0\x0cjP  "):
        at = data.find(b"\xff\x4f\xff\x51")
    if at < 0 or data[at : at + 4] != b"\xff\x4f\xff\x51" or len(data) < at + 45:
        raise Unreadable("unreadable", f"a JPEG 2000 codestream starts with {data[:4]!r}")
    right, bottom, left, top = unpack_from(">4L", data, at + 8)
    (components,) = unpack_from(">H", data, at + 40)
    depth = data[at + 42]
    return Codestream(
        bottom - top, right - left, components, (depth & 0x7F) + 1, signed=bool(depth & 0x80)
    )
