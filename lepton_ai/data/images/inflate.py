"""Gzip streams, unpacked no further than a limit."""

import zlib

from lepton_ai.data.images.failure import Unreadable

__all__ = ["gunzip", "is_gzip"]

# zlib copies what it was given beyond the end of a member. It gets a little at a time, so that a
# stream of a million members is not copied a million times.
_STEP = 16 * 2**10


def is_gzip(data: bytes) -> bool:
    """Say whether bytes are a gzip stream."""
    return data[:3] == b"\x1f\x8b\x08"


def gunzip(data: bytes, limit: int, *, whole: bool = True) -> bytes:
    """Unpack a gzip stream of one member or several.

    Args:
        data: the compressed stream.
        limit: the most bytes that may come out.
        whole: take more than the limit as a fault; else stop there quietly.

    Raises:
        Unreadable: the stream is broken, cut short, or larger than the limit.
    """
    pieces: list[bytes] = []
    room = limit + 1
    at = 0
    while at < len(data) and room > 0:
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            at, room = _member(inflater, data, at, room, pieces)
        except zlib.error as error:
            if at and not is_gzip(data[at : at + 3]):
                break  # padding after the last member
            raise Unreadable("unreadable", f"the gzip stream is broken: {error}") from error
        if not inflater.eof and room > 0:
            raise Unreadable("truncated", "the gzip stream ends too early")
    if room <= 0:
        if whole:
            raise Unreadable("too large", f"the gzip stream unpacks to more than {limit} bytes")
        pieces[-1] = pieces[-1][:-1]
    return b"".join(pieces)


def _member(
    inflater: "zlib._Decompress", data: bytes, at: int, room: int, pieces: list[bytes]
) -> tuple[int, int]:
    """Unpack one member into pieces; return where it ends and the room that is left."""
    while not inflater.eof and room > 0:
        step = inflater.unconsumed_tail
        if not step:
            step = data[at : at + _STEP]
            at += len(step)
            if not step:
                break
        piece = inflater.decompress(step, room)
        if piece:
            pieces.append(piece)
        room -= len(piece)
    return at - len(inflater.unused_data), room
