"""Bytes to pixels: one decoder for the files of a data set and for an uploaded file.

Readers are rows of `_READERS`; what a file is follows from its bytes, never from its name.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.data.images.array import is_array, read_array, read_rows
from lepton_ai.data.images.elements import is_dicom
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.images.inflate import gunzip, is_gzip
from lepton_ai.data.images.nifti import is_nifti, read_nifti
from lepton_ai.data.images.raster import is_raster, read_raster
from lepton_ai.data.images.series import decode_series
from lepton_ai.data.images.tiff import is_tiff, read_tiff

__all__ = [
    "MAX_BYTES",
    "decode",
    "decode_rows",
    "decode_slices",
    "decode_upload",
    "sniff",
    "unpack",
]

MAX_BYTES = 2 * 2**30
_HEAD = 1024
# Beside its pixels a packed file may hold this much of header.
_ROOM = 64 * 2**20

Picture = tuple[NDArray[Any], ImageMeta]


class _Reader(Struct, frozen=True):
    """How files of one kind are told by their first bytes, and how those of an image decode."""

    tells: Callable[[bytes], bool]
    decode: Callable[[Sequence[bytes], int], Picture]


def _one(read: Callable[[bytes, int], Picture]) -> Callable[[Sequence[bytes], int], Picture]:
    return lambda files, limit: read(files[0], limit)


def _only_array(files: Sequence[bytes], limit: int) -> Picture:
    rows = iter(read_array(files[0], limit))
    row = next(rows)
    if row.index is not None:
        raise Unreadable("unsupported", "the file holds several images; give one at a time")
    return row.array, row.meta


# In this order: a DICOM preamble may look like a TIFF header.
_READERS: dict[str, _Reader] = {
    "dicom": _Reader(is_dicom, decode_series),
    "nifti": _Reader(is_nifti, _one(read_nifti)),
    "raster": _Reader(is_raster, _one(read_raster)),
    "tiff": _Reader(is_tiff, _one(read_tiff)),
    "array": _Reader(is_array, _only_array),
}
_ENCRYPTED = {
    b"Salted__": "OpenSSL",
    b"age-encryption.org": "age",
    b"-----BEGIN PGP MESSAGE": "PGP",
    b"-----BEGIN CMS": "CMS",
    b"-----BEGIN PKCS7": "PKCS #7",
}
# id-envelopedData, id-encryptedData and id-ct-authEnvelopedData in an ASN.1 wrapping: what the
# secure DICOM media of PS3.15 are.
_ENVELOPES = (
    bytes.fromhex("06092a864886f70d010703"),
    bytes.fromhex("06092a864886f70d010706"),
    bytes.fromhex("060b2a864886f70d0109100117"),
)


def sniff(data: bytes) -> str | None:
    """Return the name of the reader for a file's bytes, None where there is none.

    Raises:
        Unreadable: the file is empty, encrypted, or a broken gzip stream.
    """
    if not data:
        raise Unreadable("truncated", "the file is empty")
    head = data[:_HEAD]
    for magic, scheme in _ENCRYPTED.items():
        if head.startswith(magic):
            raise Unreadable("encrypted", f"the file is encrypted ({scheme})")
    if head[:1] == b"\x30" and any(mark in head[:32] for mark in _ENVELOPES):
        raise Unreadable("encrypted", "the file is encrypted (CMS)")
    if is_gzip(data):
        head = gunzip(data, _HEAD, whole=False)
    return next((name for name, reader in _READERS.items() if reader.tells(head)), None)


def unpack(reader: str, data: bytes, limit: int) -> bytes:
    """Return a file without the gzip around it; NIfTI's reader unpacks on its own."""
    if reader == "nifti" or not is_gzip(data):
        return data
    return gunzip(data, limit + _ROOM)


def decode(
    reader: str, files: Sequence[bytes], index: int | None = None, *, limit: int = MAX_BYTES
) -> NDArray[Any]:
    """Decode one image of a data set.

    Args:
        reader: ``dicom``, ``nifti``, ``raster``, ``tiff`` or ``array``.
        files: the bytes of its files: one, or a volume's DICOM slices.
        index: the number of the image in a file of several.
        limit: the largest decoded image in bytes.

    Returns:
        (y, x), (z, y, x) or (t, z, y, x), then 3 for colour, as `ImageMeta.shape` says.

    Raises:
        Unreadable: the bytes are no such image.
    """
    if index is not None:
        return decode_rows(reader, files, [index], limit=limit)[0]
    return _picture(reader, files, limit)[0]


def decode_rows(
    reader: str, files: Sequence[bytes], indices: Sequence[int | None], *, limit: int = MAX_BYTES
) -> list[NDArray[Any]]:
    """Decode several images of one file, which is unpacked once; see `decode`."""
    if reader != "array":
        return [decode(reader, files, limit=limit) for _ in indices]
    return read_rows(unpack(reader, files[0], limit), indices, limit)


def decode_upload(data: bytes, *, limit: int = MAX_BYTES) -> Picture:
    """Decode one file of any format that is read, as a served model gets it.

    Args:
        data: DICOM, NIfTI, PNG, JPEG, TIFF, .npy, or .npz with one image; gzip is unpacked.
        limit: the largest decoded image in bytes.

    Returns:
        The pixels and the metadata, the same as reading the file into a data set gives.

    Raises:
        Unreadable: it is none of these, or broken, hostile or too large; the message says which.
    """
    reader = sniff(data)
    if reader is None:
        raise Unreadable(
            "unsupported",
            f"the file starts with {data[:8]!r}; send DICOM, NIfTI, PNG, JPEG, TIFF or NumPy data",
        )
    return _picture(reader, [data], limit)


def decode_slices(files: Sequence[bytes], *, limit: int = MAX_BYTES) -> Picture:
    """Decode the DICOM slices of one volume, in any order, as a served model gets them.

    Raises:
        Unreadable: a file is no DICOM slice, or they form no volume; the message says why.
    """
    return _picture("dicom", files, limit)


def _picture(reader: str, files: Sequence[bytes], limit: int) -> Picture:
    known = _READERS.get(reader)
    if known is None:
        raise Unreadable("unsupported", f"no reader {reader!r}; there are {', '.join(_READERS)}")
    try:
        array, meta = known.decode([unpack(reader, data, limit) for data in files], limit)
    except Unreadable:
        raise
    except Exception as error:
        # A broken file can break a reader where no check foresaw it; it is the file's fault.
        raise Unreadable("unreadable", f"{type(error).__name__}: {error}") from error
    # Pixels that are a view of the file are read-only; who asked for them may write.
    return (array if array.flags.writeable else np.array(array)), meta
