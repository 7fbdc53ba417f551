"""DICOMDIR: the index file of a DICOM medium, compared with the files that are there.

It is never followed: the folder is searched anyhow, and a name that leads out of it is reported
(DICOM PS3.3, annex F; PS3.10, section 8).
"""

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from lepton_ai.data.images.elements import Elements
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import Rejected

__all__ = ["check_references", "is_dicomdir", "references"]

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_REPORTED = 1000


def is_dicomdir(elements: Elements) -> bool:
    """Say whether a DICOM file is an index of others."""
    return elements.text(0x00020002) == _MEDIA_STORAGE_DIRECTORY or 0x00041220 in elements


def references(elements: Elements) -> list[tuple[str, ...]]:
    """Return the names of the files that an index lists, as components.

    Raises:
        Unreadable: its records are broken.
    """
    texts = (record.text(0x00041500) for record in elements.items(0x00041220))
    return [tuple(part.strip() for part in text.split("\\")) for text in texts if text]


def check_references(
    index: str, names: Collection[tuple[str, ...]], present: Collection[str]
) -> Iterator[Rejected]:
    """Yield what an index names but should not, or what is not there.

    Args:
        index: the path of the index in the folder.
        names: what it lists.
        present: the paths of all files of the folder.
    """
    known = {_plain(path) for path in present}
    reported = 0
    for name in dict.fromkeys(names):
        shown = "/".join(name)[:200]
        if reported == _REPORTED:
            yield Rejected(index, "hostile", f"more than {_REPORTED} of its names are wrong")
            return
        try:
            path = resolve(index, name)
        except Unreadable as error:
            reported += 1
            yield Rejected(index, error.reason, error.detail)
            continue
        if _plain(path) not in known:
            reported += 1
            yield Rejected(path, "missing", f"{index} lists {shown}, which is not there")


def resolve(index: str, name: tuple[str, ...]) -> str:
    """Return the path in the folder of a file that an index names.

    Raises:
        Unreadable: the name leads out of the folder of the index.
    """
    for part in name:
        if part in ("", ".", "..") or any(sign in part for sign in "/\\:\0"):
            raise Unreadable("hostile", f"it names {'/'.join(name)[:200]!r}, outside its folder")
    return str(PurePosixPath(index).parent.joinpath(*name))


def _plain(path: str) -> str:
    # Media hold names in upper case; copies of them often do not, or gain a suffix.
    return path.lower().removesuffix(".dcm").rstrip(".")
