"""One source file to what is kept of it: sealed bytes, and its images without their pixels."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.data.folder import File, read_file, scan
from lepton_ai.data.images.array import read_array
from lepton_ai.data.images.decode import decode_upload, sniff, unpack
from lepton_ai.data.images.dicom import decoded_text, read_header
from lepton_ai.data.images.dicomdir import is_dicomdir, references
from lepton_ai.data.images.elements import read_elements
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.fingerprint import (
    coefficients,
    combine_digests,
    fingerprint,
    plane_digests,
)
from lepton_ai.data.images.image import ImageMeta, Part, Rejected
from lepton_ai.data.images.pixels import decode_pixels
from lepton_ai.data.images.series import Slice
from lepton_ai.storage import Sealed

__all__ = ["Loaded", "Picture", "holds_images", "load"]

_ROOM = 64 * 2**20
# So many files without a telling name are looked into, and so many bytes of each.
_LOOKED_AT = 100
_HEAD = 4096
# Files of these kinds are meant as images: what cannot be read of them is reported, not ignored.
# fmt: off
_SUFFIXES = frozenset({
    ".dcm", ".dicom", ".dic", ".ima", ".nii", ".gz", ".hdr", ".img", ".png", ".jpg", ".jpeg",
    ".jpe", ".jfif", ".tif", ".tiff", ".npy", ".npz", ".mha", ".mhd", ".nrrd", ".nhdr", ".mgz",
    ".mgh", ".mnc", ".par", ".rec", ".brik", ".head", ".v", ".bmp", ".gif", ".webp", ".jp2",
    ".j2k", ".jls", ".svs", ".ndpi", ".scn", ".mrxs", ".vms", ".czi", ".lif", ".nd2", ".heic",
})
# fmt: on


class Picture(Struct, frozen=True):
    """An image that one file holds whole: where in the file, and what is known of it."""

    index: int | None
    meta: ImageMeta
    pixels: str
    fingerprint: int
    label: str | None


class Loaded(Struct):
    """What became of one file.

    Either ``rejected`` says why it was kept aside, or it was ``ignored`` as no image (an index of
    a DICOM medium names other files: ``names``), or it holds ``pictures`` or, of DICOM, a
    ``piece`` of a series.
    """

    file: File
    reader: str = ""
    part: Part | None = None
    sealed: Sealed | None = None
    pictures: tuple[Picture, ...] = ()
    piece: Slice | None = None
    label: str | None = None
    rejected: Rejected | None = None
    ignored: bool = False
    names: tuple[tuple[str, ...], ...] = ()


def load(file: File, seal: Callable[[bytes], Sealed], limit: int, tag: int | None) -> Loaded:
    """Read, decode, digest and seal one file; good work for threads.

    Args:
        file: a file that a scan found.
        seal: the object store's `seal`.
        limit: the largest decoded image in bytes.
        tag: the DICOM attribute that is the label, if one is.
    """
    loaded = Loaded(file)
    try:
        data = read_file(file, limit + _ROOM)
        reader = sniff(data) if data or _meant(file) else None
        if reader is None:
            if not _meant(file) and _is_text(data):
                loaded.ignored = True
                return loaded
            raise Unreadable(
                "unsupported", f"neither DICOM, NIfTI, PNG, JPEG, TIFF nor NumPy: {data[:8]!r}"
            )
        loaded.reader = reader
        if reader == "dicom":
            _load_dicom(loaded, unpack(reader, data, limit), limit, tag)
        elif reader == "array":
            _load_array(loaded, unpack(reader, data, limit), limit)
        else:
            loaded.pictures = (_picture(None, *decode_upload(data, limit=limit), None),)
    except Exception as error:
        # A broken file can break a reader where no check foresaw it; the rest goes on.
        fault = (
            error
            if isinstance(error, Unreadable)
            else Unreadable("unreadable", f"{type(error).__name__}: {error}")
        )
        loaded.rejected = Rejected(file.path, fault.reason, fault.detail)
    if loaded.rejected is None and not loaded.ignored:
        sealed = seal(data)
        loaded.sealed = sealed
        loaded.part = Part(file.path, sealed.sha256, sealed.address, sealed.size)
    return loaded


def holds_images(folder: str | os.PathLike[str]) -> bool:
    """Say whether a folder holds images: files named so, or among its first ones, that are some."""
    files = scan(folder, sizes=False).files
    if any(PurePosixPath(file.path).suffix.lower() in _SUFFIXES for file in files):
        return True
    for file in files[:_LOOKED_AT]:
        with suppress(OSError, Unreadable), open(file.place, "rb") as stream:  # noqa: PTH123 (a text, not a path)
            if sniff(stream.read(_HEAD)) is not None:
                return True
    return False


def _load_dicom(loaded: Loaded, data: bytes, limit: int, tag: int | None) -> None:
    try:
        header = read_header(data, limit)
    except Unreadable as error:
        if error.reason != "no pixels":
            raise
        elements = read_elements(data, limit)
        if not is_dicomdir(elements):
            raise
        loaded.ignored, loaded.names = True, tuple(references(elements))
        return
    array = decode_pixels(header)
    meta = header.meta(array)
    loaded.piece = Slice(
        meta,
        header.place,
        header.ranks,
        header.uid,
        header.frames,
        tuple(plane_digests(array, meta.channels)),
        coefficients(array, meta.channels),
    )
    if tag is not None:
        loaded.label = decoded_text(header.elements, tag)


def _load_array(loaded: Loaded, data: bytes, limit: int) -> None:
    loaded.pictures = tuple(
        _picture(row.index, row.array, row.meta, row.label) for row in read_array(data, limit)
    )


def _picture(index: int | None, array: NDArray[Any], meta: ImageMeta, label: str | None) -> Picture:
    return Picture(
        index,
        meta,
        combine_digests(meta.shape, meta.dtype, plane_digests(array, meta.channels)),
        fingerprint(coefficients(array, meta.channels)),
        label,
    )


def _meant(file: File) -> bool:
    suffix = PurePosixPath(file.path).suffix.lower()
    return suffix in _SUFFIXES or (not suffix and not file.size)


def _is_text(data: bytes) -> bool:
    """Say whether bytes are evidently text, by their first 4 KiB."""
    head = data[:4096]
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return False
    try:
        head[: len(head) - 3 if len(data) > 4096 else None].decode("utf-8")
    except UnicodeDecodeError as error:
        # The cut may have split a character.
        return error.start >= len(head) - 8 and len(data) > 4096
    return True
