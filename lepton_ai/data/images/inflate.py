"""Gzip streams, unpacked no further than a limit."""

import zlib

from lepton_ai.data.images.failure import Unreadable

__all__ = ["gunzip", "is_gzip"]


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
    while data and room > 0:
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            pieces.append(inflater.decompress(data, room))
        except zlib.error as error:
            if len(pieces) and not is_gzip(data):
                break  # padding after the last member
            raise Unreadable("unreadable", f"the gzip stream is broken: {error}") from error
        room -= len(pieces[-1])
        if not inflater.eof:
            if room > 0:
                raise Unreadable("truncated", "the gzip stream ends too early")
            break
        data = inflater.unused_data
    if room <= 0:
        if whole:
            raise Unreadable("too large", f"the gzip stream unpacks to more than {limit} bytes")
        pieces[-1] = pieces[-1][:-1]
    return b"".join(pieces) if len(pieces) > 1 else pieces[0]
