"""Export: documents become files again, inside the folder that was named and nowhere else."""

import os
import re
import shutil
from collections.abc import Iterable
from datetime import datetime
from itertools import count
from pathlib import Path, PurePosixPath

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.progress import track
from lepton_ai.data.documents.document import Document
from lepton_ai.storage.files import disk_errors

__all__ = ["export"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_PIECE = 2**20
_DRIVE = re.compile(r"[A-Za-z]:")


def export(documents: Iterable[Document], folder: Path) -> list[Path]:
    """Write documents into a folder, under their own paths, and return where each one lies.

    A path that would lead out of the folder is refused before anything is written. Where the
    disk takes two names for one, as some do that differ in case alone, the second file gets
    a number.

    Raises:
        InvalidInput: the folder holds something already, or a path is none inside a folder.
        StorageFull: the disk is full.
        AccessDenied, NotFound, Corrupt: as `Document.open`.
    """
    wanted = [(document, _parts(document.path)) for document in documents]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(f"{folder} is there already; export into a new or an empty folder")
    written = []
    with disk_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        for document, parts in track(wanted, "writing files"):
            place = folder.joinpath(*parts)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                written.append(_write(document, place))
            except (FileExistsError, NotADirectoryError) as error:
                raise InvalidInput(
                    f"{document.path} needs a folder where another document is a file"
                ) from error
    return written


def _parts(path: str) -> tuple[str, ...]:
    """Return the names that a path is made of.

    Raises:
        InvalidInput: it is absolute, or has a part that means another folder.
    """
    parts = tuple(path.split("/"))
    bad = not all(parts) or "\0" in path or bool({".", ".."}.intersection(parts))
    if bad or PurePosixPath(path).is_absolute() or (os.name == "nt" and _odd(path)):
        raise InvalidInput(
            f"the path {path!r} is none inside a folder, so nothing was written; leave the "
            "document out: documents.filter(\"path != '...'\")"
        )
    return parts


def _odd(path: str) -> bool:
    return "\\" in path or _DRIVE.match(path) is not None


def _write(document: Document, place: Path) -> Path:
    with document.open() as content:
        number, place = _create(place)
        with os.fdopen(number, "wb") as file:
            shutil.copyfileobj(content, file, _PIECE)
    _date(place, document.modified)
    return place


def _create(place: Path) -> tuple[int, Path]:
    """Create a file that was not there, numbered where its name is taken."""
    name = place
    for number in count(2):
        try:
            return os.open(name, _FLAGS, 0o600), name
        except FileExistsError:
            name = place.with_name(f"{place.stem}~{number}{place.suffix}")
    raise AssertionError


def _date(place: Path, moment: datetime | None) -> None:
    # None where whoever exports sees it masked.
    if moment is not None:
        os.utime(place, (moment.timestamp(), moment.timestamp()))
