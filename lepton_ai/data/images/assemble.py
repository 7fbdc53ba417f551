"""Loaded files to the entries of an image set: series put together, labels and groups found."""

import hashlib
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.folder import class_folder, read_file
from lepton_ai.data.images.decode import decode
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.fingerprint import combine_digests, fingerprint, pixel_digest
from lepton_ai.data.images.image import ImageEntry, ImageMeta, Rejected
from lepton_ai.data.images.labels import LabelTable, are_classes
from lepton_ai.data.images.load import Loaded
from lepton_ai.data.images.series import Slice, Volume, check_size, group_slices

__all__ = ["Assembled", "Group", "assemble"]

Group = Literal["patient", "study", "series", "folder", "file"]


class Assembled(Struct):
    """The entries of a set, in the order of their first paths, and where labels came from."""

    entries: list[ImageEntry]
    rejected: list[Rejected]
    labels: str | None


class _Found(Struct):
    """An image before it has its label and its id."""

    files: list[Loaded]
    index: int | None
    meta: ImageMeta
    pixels: str
    fingerprint: int
    label: str | None


def assemble(
    loaded: Sequence[Loaded], label: str | None, table: Path | None, group: Group, limit: int
) -> Assembled:
    """Put the images of a folder together.

    Args:
        loaded: the files that were read, in the order of their paths.
        label: ``auto``, ``folder``, ``table``, ``attribute`` or None.
        table: the table of labels: the one to use, or the folder's own where it is ``auto``.
        group: what an image belongs to.
        limit: the largest decoded image in bytes.

    Raises:
        InvalidInput: the table of labels names no image, or contradicts itself.
    """
    by_folder = label == "folder" or (label == "auto" and table is None)
    found, rejected = _images(loaded, limit, by_folder=by_folder)
    source = _label(found, label, table)
    if by_folder and source != "folder":
        # The folders are no classes after all, so they part no series.
        found, rejected = _images(loaded, limit, by_folder=False)
        source = _label(found, label if source else None, table)
    found.sort(key=lambda image: (image.files[0].file.path, image.index or 0))
    entries = [_entry(image, group) for image in found]
    return Assembled(entries, rejected, source)


def _images(
    loaded: Sequence[Loaded], limit: int, *, by_folder: bool
) -> tuple[list[_Found], list[Rejected]]:
    found = [
        _Found(
            [file],
            picture.index,
            picture.meta,
            picture.pixels,
            picture.fingerprint,
            picture.label,
        )
        for file in loaded
        for picture in file.pictures
    ]
    pieces = [(file, file.piece) for file in loaded if file.piece is not None]
    slices = [piece for _, piece in pieces]
    rejected: list[Rejected] = []

    def apart(number: int) -> str | None:
        # Where folders are classes, one series in two of them is two images.
        return class_folder(pieces[number][0].file.path) if by_folder else None

    for volume in group_slices(slices, apart):
        files = [pieces[number][0] for number in volume.members]
        for copy, original in volume.copies:
            kept = pieces[original][0].file.path
            rejected.append(
                Rejected(pieces[copy][0].file.path, "duplicate", f"the same slice as {kept}")
            )
        try:
            found.append(_found_volume(volume, files, [slices[at] for at in volume.members], limit))
        except Unreadable as error:
            rejected += [Rejected(file.file.path, error.reason, error.detail) for file in files]
    return found, rejected


def _found_volume(volume: Volume, files: list[Loaded], slices: list[Slice], limit: int) -> _Found:
    meta = volume.meta
    check_size(prod(meta.shape) * np.dtype(meta.dtype).itemsize, limit)
    if {piece.meta.dtype for piece in slices} == {meta.dtype}:
        digests = [digest for piece in slices for digest in piece.digests]
        pixels = combine_digests(meta.shape, meta.dtype, digests)
    else:
        # Slices that are rescaled differently were digested in other types than the volume's.
        pixels = pixel_digest(_decode_again(files, limit), meta.channels)
    frequencies = np.stack([piece.frequencies for piece in slices]).mean(axis=0, dtype=np.float32)
    labels = {file.label for file in files}
    return _Found(
        files,
        None,
        meta,
        pixels,
        fingerprint(frequencies),
        labels.pop() if len(labels) == 1 else None,
    )


def _decode_again(
    files: list[Loaded], limit: int
) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
    contents = []
    for file in files:
        data = read_file(file.file, limit)
        if file.part is None or hashlib.sha256(data).hexdigest() != file.part.sha256:
            raise Unreadable("unreadable", f"{file.file.path} changed while it was read")
        contents.append(data)
    return decode("dicom", contents, limit=limit)


def _label(found: list[_Found], label: str | None, table: Path | None) -> str | None:
    """Give the images their labels and return where these came from."""
    own = [image.label for image in found]
    folders = [class_folder(image.files[0].file.path) for image in found]
    if label == "attribute" or (label == "auto" and table is None and any(own)):
        return "attribute" if label == "attribute" else "file"
    for image in found:
        image.label = None
    if table is not None:
        rows = LabelTable(table)
        for image in found:
            paths = [file.file.path for file in image.files]
            uids = (image.meta.series, image.meta.study, image.meta.patient)
            image.label = rows.find(paths, uids)
        if found and not rows.used:
            raise InvalidInput(
                f"none of the {rows.rows} rows of {table} names an image of the folder, such as "
                f"{found[0].files[0].file.path!r}"
            )
        return table.name
    patients = [image.meta.patient for image in found]
    if label == "folder" or (label == "auto" and are_classes(folders, patients)):
        for image, folder in zip(found, folders, strict=True):
            image.label = folder
        return "folder"
    return None


def _entry(image: _Found, group: Group) -> ImageEntry:
    parts = tuple(file.part for file in image.files if file.part is not None)
    # Follows from place and content, so an image keeps its id in later versions of its set.
    identity = "\n".join([*(part.path for part in parts), str(image.index), image.pixels])
    return ImageEntry(
        id=f"img_{hashlib.sha256(identity.encode()).hexdigest()[:20]}",
        reader=image.files[0].reader,
        parts=parts,
        meta=image.meta,
        pixels=image.pixels,
        fingerprint=image.fingerprint,
        index=image.index,
        label=image.label,
        group=_GROUPS[group](image),
    )


def _file(image: _Found) -> str:
    path = image.files[0].file.path
    return path if image.index is None else f"{path}#{image.index}"


def _folder(image: _Found) -> str:
    return str(PurePosixPath(image.files[0].file.path).parent)


# The nearest that is known: an image without a patient's ID may still share a study.
_GROUPS: dict[Group, Callable[[_Found], str]] = {
    "patient": lambda image: image.meta.patient or image.meta.study or _file(image),
    "study": lambda image: image.meta.study or _file(image),
    "series": lambda image: image.meta.series or _file(image),
    "folder": _folder,
    "file": _file,
}
