"""Labels of images: from class folders, a table of labels, a DICOM attribute, or their own file."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from pydicom.datadict import dictionary_VR, keyword_dict

from lepton_ai.core.errors import InvalidInput, NotFound

__all__ = ["LabelTable", "are_classes", "dicom_tag"]

# fmt: off
_KEYS = (
    "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path",
    "image_id", "imageid", "id", "name", "series", "seriesinstanceuid", "series_id", "study",
    "studyinstanceuid", "patient", "patientid", "patient_id", "subject", "subject_id",
)
# fmt: on
_LABELS = ("label", "labels", "class", "category", "target", "diagnosis", "y", "finding", "outcome")
_SUFFIXES = (".gz", ".dcm", ".dicom", ".nii", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "UI"})
_MAX_BYTES = 256 * 2**20


def are_classes(labels: Sequence[str | None], patients: Sequence[str | None]) -> bool:
    """Say whether folders look like classes: two or more, of two images or more each.

    Folders of one patient each, whose patients lie nowhere else, are an archive's, not classes.
    """
    counts = Counter(labels)
    if None in counts or len(counts) < 2 or min(counts.values()) < 2:
        return False
    inside: dict[str | None, set[str | None]] = defaultdict(set)
    for label, patient in zip(labels, patients, strict=True):
        inside[label].add(patient)
    return any(None in group or len(group) > 1 for group in inside.values())


def dicom_tag(keyword: str) -> int:
    """Return the tag of a DICOM keyword.

    Raises:
        InvalidInput: the standard has no such keyword.
    """
    tag = keyword_dict.get(keyword)
    if tag is None:
        near = get_close_matches(keyword, keyword_dict, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "such as BodyPartExamined"
        raise InvalidInput(
            f"label={keyword!r} is neither 'folder', a .csv file nor a DICOM keyword; {hint}"
        )
    if dictionary_VR(tag) not in _TEXTS:
        raise InvalidInput(
            f"label={keyword!r} is no text but of VR {dictionary_VR(tag)}; labels are texts, "
            "such as BodyPartExamined"
        )
    return int(tag)


class LabelTable:
    """A table of labels (CSV): one column names images, another their labels.

    A row names a file by its path in the folder or its name, with or without suffix, a folder of
    files, or a series, study or patient by its UID or ID; the closest name counts.

    Attributes:
        rows: how many rows there are.
        used: the keys of the rows that an image was found for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.used: set[str] = set()
        self._labels = _read(path)
        self.rows = len(self._labels)

    def find(self, paths: Iterable[str], uids: Iterable[str | None]) -> str | None:
        """Return the label of an image.

        Args:
            paths: of its files, relative to the folder that is read.
            uids: its series, study and patient, as far as known.

        Raises:
            InvalidInput: rows for its files disagree.
        """
        names = [_names(path) for path in paths]
        for candidates in (*zip(*names, strict=False), *([uid] for uid in uids if uid)):
            keys = {key for key in candidates if key in self._labels}
            found = {self._labels[key] for key in keys}
            if len(found) > 1:
                raise InvalidInput(
                    f"{self.path} gives one image the labels {sorted(found)}: the rows "
                    f"{sorted(keys)[:4]}; keep one of them"
                )
            if found:
                self.used |= keys
                return found.pop()
        return None


def _names(path: str) -> list[str]:
    """Return what may name a file, the most exact first: itself, then the folders it lies in."""
    pure = PurePosixPath(path)
    names = [path, _stem(path), pure.name, _stem(pure.name)]
    for folder in list(pure.parents)[:-1]:
        names += [str(folder), folder.name]
    return names


def _stem(name: str) -> str:
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name


def _read(path: Path) -> dict[str, str]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InvalidInput(f"{path} is larger than {_MAX_BYTES} bytes; it is no label table")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise NotFound(f"the label table {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text; save it as a UTF-8 CSV file") from error
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise InvalidInput(f"{path} is not a CSV file: {error}") from error
    if len(rows) < 2 or len(rows[0]) < 2:
        raise InvalidInput(f"{path} needs a header and rows such as 'file,label'; got {first!r}")
    header = [column.strip() for column in rows[0]]
    key, label = _columns(path, header)
    labels: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) <= max(key, label):
            raise InvalidInput(f"{path}, row {number}: {len(row)} columns of {len(header)}")
        name = row[key].strip().replace("\\", "/").removeprefix("./").rstrip("/")
        value = row[label].strip()
        if not name or not value:
            continue
        if labels.setdefault(name, value) != value:
            raise InvalidInput(f"{path}, row {number}: {name!r} has a second label, {value!r}")
    return labels


def _columns(path: Path, header: list[str]) -> tuple[int, int]:
    lower = [column.lower() for column in header]
    label = next((lower.index(name) for name in _LABELS if name in lower), None)
    key = next((lower.index(name) for name in _KEYS if name in lower), None)
    if len(header) == 2:
        # Two columns need no names: what is not the one is the other.
        if label is None:
            label = 1 - key if key is not None else 1
        key = 1 - label
    if key is None or label is None:
        raise InvalidInput(
            f"{path} has the columns {header}; name the one with the files 'file' and the one "
            "with the labels 'label'"
        )
    return key, label
