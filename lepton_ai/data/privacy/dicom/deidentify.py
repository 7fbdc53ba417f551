"""deidentify_images: a folder of DICOM files becomes one that names nobody, proved file by file."""

import os
import re
import shutil
import warnings
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pydicom
from msgspec import Struct
from pydicom.errors import InvalidDicomError

from lepton_ai.core.errors import InvalidInput, LeptonError, NotFound
from lepton_ai.core.progress import track
from lepton_ai.data.privacy.dicom.burned import suspicion
from lepton_ai.data.privacy.dicom.clean import clean
from lepton_ai.data.privacy.dicom.identifiers import Identifiers, identifiers_in
from lepton_ai.data.privacy.dicom.profile import (
    EDITION,
    METHOD,
    METHODS,
    action_of,
    check_installed,
)
from lepton_ai.data.privacy.dicom.pseudonyms import Pseudonyms
from lepton_ai.storage import Workspace

__all__ = ["DeidentificationReport", "Refused", "deidentify_images"]

_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR
# Classes of objects that hold a voice.
_VOICES = {"1.2.840.10008.5.1.4.1.1.9.4.1", "1.2.840.10008.5.1.4.1.1.9.4.2"}
_PIXELS = {0x7FE00010, 0x7FE00008, 0x7FE00009}
_SHORTEST_IN_PIXELS = 6
# In the name of a folder: as long as the number of a person.
_NUMBER = re.compile(r"\d{5}")
# Digits of these may spell anything by chance.
_NUMBERS = {
    "AT", "DS", "FD", "FL", "IS", "OD", "OF", "OL", "OV", "SL", "SS", "SV", "TM", "UI", "UL", "US",
    "UV",
}  # fmt: skip
# What we write ourselves may be a person's name elsewhere.
_MARKERS = (0x00120063, 0x00120064)
_OURS = {word.casefold() for text in (METHOD, *dict(METHODS).values()) for word in text.split()}


class Refused(Struct, frozen=True):
    """A file that was not published, by its place among the files, and why.

    Its name is not given: it may name the patient.
    """

    place: int
    reason: str


class DeidentificationReport(Struct, frozen=True):
    """What was done; it holds no identifier.

    Attributes:
        files: how many were published.
        refused: those that were not.
        directories: DICOMDIR files, which are left out.
        pixels_checked: images whose pixels were looked at for burned-in text.
    """

    standard: str
    options: tuple[str, ...]
    made_at: datetime
    files: int
    patients: int
    studies: int
    series: int
    directories: int
    pixels_checked: int
    refused: tuple[Refused, ...]

    def to_json(self) -> bytes:
        """Return the report as JSON."""
        return msgspec.json.encode(self)

    def __str__(self) -> str:
        lines = [
            f"{self.files:,} files of {self.patients:,} patients, {self.studies:,} studies and "
            f"{self.series:,} series, by {self.standard}",
            *(f"  with {option}" for option in self.options),
            f"  pixels of {self.pixels_checked:,} looked at for burned-in text",
        ]
        counts = Counter(item.reason for item in self.refused)
        lines += [f"  {count:,} refused: {reason}" for reason, count in counts.most_common()]
        return "\n".join(lines)


def deidentify_images(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    workspace: Workspace | None = None,
    burned_in: Literal["reject", "allow"] = "reject",
    keep_going: bool = False,
    keep_folders: bool = False,
) -> DeidentificationReport:
    """Write copies of DICOM files that name nobody.

    DICOM PS3.15 Annex E, Basic Profile, with modified dates: names, numbers and UIDs become
    pseudonyms that follow from the workspace's key, the same in every run; dates of a patient move
    by the same days, so intervals and order stay. Private attributes go. Each file is read again
    and searched for everything that identified the patient before; a hit refuses it.

    Args:
        source: a folder of DICOM files, or one file.
        destination: a folder that is not there yet; it appears once everything is in it.
        workspace: whose key the pseudonyms follow from.
        burned_in: ``reject`` images that may have text in their pixels, or ``allow`` them.
        keep_going: publish the other files when some are refused.
        keep_folders: keep the folders of the source, which may be classes, above the new ones. A
            name that holds an identifier of any patient, or a number of five digits, refuses the
            files in it.

    Raises:
        NotFound: there is no DICOM file.
        InvalidInput: the destination is there, or lies inside the source; or a file was refused
            and ``keep_going`` was not asked for; or all were.
        MissingExtra: the tables of the standard are not installed.
    """
    check_installed()
    with warnings.catch_warnings():
        # Odd files are told of by what comes of them, not by pydicom's warnings.
        warnings.simplefilter("ignore")
        return _deidentify(
            workspace or Workspace.open(),
            source,
            destination,
            burned_in,
            keep_going=keep_going,
            keep_folders=keep_folders,
        )


def _deidentify(
    place: Workspace,
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    burned_in: Literal["reject", "allow"],
    *,
    keep_going: bool,
    keep_folders: bool,
) -> DeidentificationReport:
    start, target = Path(source).expanduser().resolve(), Path(destination).expanduser().resolve()
    if target.exists() or target.is_relative_to(start):
        raise InvalidInput(
            f"{destination} must be a folder that is not there yet, outside of {source}"
        )
    paths = [start] if start.is_file() else sorted(p for p in start.rglob("*") if p.is_file())
    names = Pseudonyms(place.keys.secret("deidentification"))
    known, directories, refused = _survey(start, paths, keep_folders=keep_folders)
    if not known and not refused:
        raise NotFound(f"there is no DICOM file in {source}")
    draft = target.with_name(f".{target.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    published: list[tuple[str, str, str]] = []
    checked = 0
    try:
        identifiers = {patient: Identifiers(values) for patient, values in known.items()}
        whole = Identifiers(set().union(*known.values())) if keep_folders else None
        for number, path in enumerate(track(paths, "de-identifying")):
            try:
                folder = _kept(path, start, whole) if whole is not None else Path()
                done = _one(path, draft / folder, names, identifiers, burned_in)
            except Exception as error:  # hostile files break a parser in many ways
                refused[number] = _reason(error)
                continue
            if done is not None:
                published.append(done[0])
                checked += done[1]
        if refused and not (keep_going and published):
            others = ", or publish the others with keep_going=True (--keep-going)"
            raise InvalidInput(
                f"{len(refused)} of {len(paths)} files were refused, so nothing was published; the "
                f"first: {next(iter(refused.values()))}. Leave such files out"
                f"{others if published else ''}"
            )
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return DeidentificationReport(
        f"DICOM PS3.15 {EDITION}",
        tuple(meaning for _, meaning in METHODS),
        datetime.now(UTC),
        len(published),
        len({patient for patient, _, _ in published}),
        len({study for _, study, _ in published}),
        len({series for _, _, series in published}),
        directories,
        checked,
        tuple(Refused(number, reason) for number, reason in sorted(refused.items())),
    )


def _survey(
    start: Path, paths: list[Path], *, keep_folders: bool
) -> tuple[dict[str, set[str]], int, dict[int, str]]:
    """Gather each patient's identifiers from all files, before any is written."""
    known: dict[str, set[str]] = {}
    refused: dict[int, str] = {}
    directories = 0
    for number, path in enumerate(track(paths, "gathering identifiers")):
        try:
            dataset = _read(path, pixels=False)
            if _is_directory(dataset):
                directories += 1
                continue
            values = known.setdefault(_patient(dataset), set())
            values.update(identifiers_in(dataset))
        except InvalidDicomError:
            refused[number] = "it is no DICOM file"
            continue
        except Exception as error:
            refused[number] = f"it cannot be read: {type(error).__name__}"
            continue
        # A folder that is to be kept is no identifier, and is searched for one.
        for part in (*(() if keep_folders else _folders(path, start).parts), path.stem):
            # A name without a number is as likely a word of the header as of the patient.
            if len(part) >= 6 and any(letter.isdigit() for letter in part):
                values.add(part)
    return known, directories, refused


def _folders(path: Path, start: Path) -> Path:
    return Path() if start.is_file() else path.relative_to(start).parent


def _kept(path: Path, start: Path, known: Identifiers) -> Path:
    """Return the folders of a file, after a look at what their names say."""
    folders = _folders(path, start)
    # Folders together may say what none of them does: a family and a given name.
    if known.in_text(" ".join(folders.parts)) or any(map(known.in_text, folders.parts)):
        raise InvalidInput(
            "the name of its folder holds an identifier; rename the folder, or leave out "
            "keep_folders (--keep-folders)"
        )
    if any(map(_NUMBER.search, folders.parts)):
        raise InvalidInput(
            "the name of its folder holds a number that may be a person's; rename the folder, or "
            "leave out keep_folders (--keep-folders)"
        )
    return folders


def _read(path: Path, *, pixels: bool = True) -> Any:
    """Read a file without what is no attribute: bytes behind its end, a network's command."""
    dataset = pydicom.dcmread(path, stop_before_pixels=not pixels)
    for tag in list(dataset.keys()):
        try:
            dataset[tag]
        except (NotImplementedError, KeyError):
            del dataset[tag]
        else:
            if tag.group < 0x0008:
                del dataset[tag]
    return dataset


def _one(
    path: Path, draft: Path, names: Pseudonyms, identifiers: dict[str, Identifiers], burned_in: str
) -> tuple[tuple[str, str, str], int] | None:
    """Clean, write, read again and search one file; return where it belongs."""
    try:
        dataset = _read(path)
    except InvalidDicomError:
        return None  # named by the survey
    if _is_directory(dataset):
        return None
    patient = _patient(dataset)
    known = identifiers[patient]
    if "EncapsulatedDocument" in dataset:
        raise InvalidInput("it holds a document, which may say anything")
    if dataset.get("SOPClassUID") in _VOICES or dataset.get("Modality") == "AU":
        raise InvalidInput("it holds a voice, which may say anything")
    pixels = None
    if "PixelData" in dataset and burned_in == "reject":
        pixels = _pixels(dataset)
    reason = suspicion(dataset, pixels) if burned_in == "reject" else ""
    if reason:
        raise InvalidInput(f"{reason}; look at it, then allow it with burned_in='allow'")
    clean(dataset, names, known, patient)
    where = (
        str(dataset.PatientID),
        str(dataset.get("StudyInstanceUID", "study")),
        str(dataset.get("SeriesInstanceUID", "series")),
    )
    folder = draft.joinpath(*where)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = folder / f"{dataset.SOPInstanceUID}.dcm"
    if written.exists():
        raise InvalidInput("another file has the same SOP instance UID")
    dataset.save_as(written, enforce_file_format=True)
    left = _left(written, known)
    if left:
        written.unlink()
        raise InvalidInput(f"an identifier was left in {left}")
    return where, int(pixels is not None)


def _left(path: Path, known: Identifiers) -> str:
    """Return where a written file still holds an identifier; nothing where it holds none."""
    dataset = pydicom.dcmread(path)
    start = len(data := path.read_bytes())
    moved = set(_OURS)
    for marker in _MARKERS:
        del dataset[marker]
    for element in [*dataset.file_meta, *dataset.iterall()]:
        gone = action_of(element.tag.group, element.tag.element) == "remove"
        if gone and element.VR not in ("DA", "DT", "TM"):
            return f"{element.tag} {element.keyword}, which should be gone"
        if element.tag in _PIXELS:
            start = min(start, element.file_tell or start)
        elif element.VR in ("DA", "DT"):
            # A date that was moved may fall on another date of the patient.
            values = element.value if element.VM > 1 else [element.value]
            moved |= {str(value)[:8] for value in values}
        elif _holds(element, known):
            return f"{element.tag} {element.keyword}"
    # What no parser showed.
    if known.in_bytes(data[:start], besides=moved):
        return "the raw bytes"
    # Among so many bytes, a few are equal to a short one by chance.
    if known.in_bytes(data[start:], shortest=_SHORTEST_IN_PIXELS, besides=moved):
        return "the bytes of its pixels"
    return ""


def _holds(element: Any, known: Identifiers) -> bool:
    """Say whether an attribute's value is, or holds, an identifier."""
    value = element.value
    if value is None or element.VR == "SQ":
        return False
    if isinstance(value, bytes):
        return known.in_bytes(value)
    if element.VR in _NUMBERS:
        values = value if element.VM > 1 else [value]
        return any(known.is_one(str(one)) for one in values)
    return known.in_text(str(value))


def _pixels(dataset: Any) -> Any:
    try:
        return dataset.pixel_array
    except Exception as error:  # decoders have many errors
        raise InvalidInput(f"its pixels cannot be decoded to look for text: {error}") from error


def _is_directory(dataset: Any) -> bool:
    meta = getattr(dataset, "file_meta", {})
    return "DirectoryRecordSequence" in dataset or meta.get("MediaStorageSOPClassUID") == _DIRECTORY


def _patient(dataset: Any) -> str:
    return str(dataset.get("PatientID") or dataset.get("PatientName") or "")


def _reason(error: Exception) -> str:
    return (
        str(error)
        if isinstance(error, LeptonError)
        else f"it cannot be written: {type(error).__name__}"
    )
