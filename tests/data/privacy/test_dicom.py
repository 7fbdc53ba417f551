"""De-identification: nothing that was planted is left, and everything else still holds."""

import copy
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.images.read import read_images
from lepton_ai.data.privacy.dicom import deidentify_images
from lepton_ai.data.privacy.dicom.burned import suspicion
from lepton_ai.storage import Workspace

# Each was put somewhere into the study below.
PLANTED = [
    "Shevchenko", "Oksana", "Petrivna", "PX-448812", "ACC9900731", "1961-04-12", "19610412",
    "20260131", "20260203", "20260214", "Feofaniya", "Zabolotny", "0442591717", "Bondarenko",
    "Kovalenko", "MRN-77-1203", "77aa91c2", "CT-ROOM-4711", "SN20398812", "TRIAL-0099",
    "Kharkivska",
    "Melnyk", "ward-9-bed-3", "Тарасенко", "山田", "Yamada", "secretnote42", "1.2.999.111.1",
    "1.2.999.111.2", "1.2.999.111.3", "1.2.999.111.4", "1.2.999.111.5", "Tkachenko",
    "PREAMBLE-ID-5",
    "AETITLE88", "OVERLAYID7", "REQ-551-X", "Lysenko", "31.01.2026", "FILE448812", "DIR-Oksana-77",
    "OVERLAYDATA8", "CURVEDATA9", "CURVELABEL10", "DEEPSECRET11", "PADDING-ID-61", "TRAILER-62",
    "BEHIND-THE-END-63", "044 259-17-17", "Jan 31, 2026", "3 February 2026", "MRN 77 1203",
    "OKSANASHEVCHENKO", "Schaefer", "Havryliuk", "12/04/61", "o.petrivna@example.org",
]  # fmt: skip
ENCODINGS = ("utf-8", "iso8859_5", "shift_jis", "iso2022_jp", "cp1251", "utf-16-le")


def holds(data: bytes, word: str) -> bool:
    """Whether bytes hold a word; looked for in another way than by what is tested."""
    coded = {word.encode(code, "ignore") for code in ENCODINGS}
    return any(part.lower() in data.lower() for part in coded if len(part) > 2)


def study(folder: Path) -> None:
    """Write a study of two series, three slices each, with identifiers all over."""
    source = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    root = folder / "DIR-Oksana-77"
    for series in (1, 2):
        for slice_ in (1, 2, 3):
            ds = copy.deepcopy(source)
            ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"] if series == 2 else "ISO_IR 144"
            ds.PatientName = "Shevchenko^Oksana^Petrivna"
            ds.PatientID = "PX-448812"
            ds.PatientBirthDate = "19610412"
            ds.AccessionNumber = "ACC9900731"
            ds.StudyDate, ds.SeriesDate, ds.AcquisitionDate = "20260131", "20260131", "20260203"
            ds.ContentDate = "20260131"
            ds.AcquisitionDateTime = f"20260203101{slice_}00.000000+0200"
            ds.AcquisitionTime = f"101{slice_}00"
            ds.InstitutionName, ds.InstitutionAddress = "Feofaniya", "Zabolotny 21"
            ds.PatientTelephoneNumbers = "0442591717"
            ds.ReferringPhysicianName, ds.OperatorsName = "Bondarenko^I", "Kovalenko^P"
            ds.RequestingPhysician = "Schaefer^A" if series == 2 else ""
            ds.OtherPatientIDs = "MRN-77-1203"
            ds.StationName, ds.DeviceSerialNumber = "CT-ROOM-4711", "SN20398812"
            ds.ClinicalTrialSubjectID = "TRIAL-0099"
            ds.PatientAddress = "Kharkivska 5"
            ds.ImageComments = "seen by Melnyk on 31.01.2026 in ward-9-bed-3, Oksana calm"
            ds.ProtocolName = "Thorax of Shevchenko 1961-04-12"
            ds.ContrastBolusAgent = "given to Oksana"
            ds.StudyInstanceUID = "1.2.999.111.1"
            ds.SeriesInstanceUID = f"1.2.999.111.{1 + series}"
            ds.SOPInstanceUID = f"1.2.999.111.4.{series}.{slice_}"
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.FrameOfReferenceUID = "1.2.999.111.5"
            ds.file_meta.SourceApplicationEntityTitle = "AETITLE88"
            ds.InstanceNumber = slice_
            ds.ImagePositionPatient = [0, 0, slice_ * 5]
            ds.BurnedInAnnotation = "NO"
            person = Dataset()
            person.PersonName = "Тарасенко^Іван" if series == 1 else "Yamada^Tarou=山田^太郎"
            person.VerifyingObserverName = "Tkachenko^O"
            request = Dataset()
            request.RequestedProcedureID = "REQ-551-X"
            request.RequestingPhysician = "Lysenko^V"
            request.ScheduledProcedureStepStartDate = "20260214"
            request.RequestAttributesSequence = Sequence([person])
            ds.RequestAttributesSequence = Sequence([request])
            reference = Dataset()
            reference.ReferencedSOPClassUID = ds.SOPClassUID
            reference.ReferencedSOPInstanceUID = f"1.2.999.111.4.{series}.{slice_ % 3 + 1}"
            ds.ReferencedImageSequence = Sequence([reference])
            block = ds.private_block(0x0099, "HOSPITAL", create=True)
            block.add_new(0x10, "LO", "secretnote42")
            block.add_new(0x11, "UN", b"77aa91c2 Shevchenko")
            ds.add_new(0x60000022, "LO", "OVERLAYID7")
            ds.add_new(0x60003000, "OW", b"OVERLAYDATA8")
            ds.add_new(0x50000022, "LO", "CURVELABEL10")
            ds.add_new(0x50003000, "OW", b"CURVEDATA9")
            # The profile keeps what is said here, and writers of free text say anything.
            ds.InterventionDescription = (
                "OKSANASHEVCHENKO, MRN 77 1203, born 12/04/61, Jan 31, 2026 and 3 February 2026, "
                "044 259-17-17, o.petrivna@example.org, by Dr. Havryliuk; liver, left lobe"
            )
            deepest = Dataset()
            deepest.private_block(0x0099, "HOSPITAL", create=True).add_new(
                0x12, "LO", "DEEPSECRET11"
            )
            deepest.ReferencedSOPInstanceUID = "1.2.999.111.4.1.1"
            deepest.ReferencedSOPClassUID = ds.SOPClassUID
            person.ReferencedImageSequence = Sequence([deepest])
            ds.PixelData += b"PADDING-ID-61 "
            ds.DataSetTrailingPadding = b"TRAILER-62"
            ds.preamble = b"PREAMBLE-ID-5".ljust(128, b"\0")
            place = root / f"series{series}" / f"FILE448812-{slice_}.dcm"
            place.parent.mkdir(parents=True, exist_ok=True)
            ds.save_as(place, enforce_file_format=True)
    files = FileSet()
    for path in sorted(root.rglob("*.dcm")):
        files.add(path)
    files.write(folder / "disc")
    files._stage["t"].cleanup()
    for path in root.rglob("*.dcm"):
        with path.open("ab") as file:
            file.write(b"BEHIND-THE-END-63")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("study")
    study(folder / "in")
    workspace = Workspace.open(folder / "home")
    # The disc holds the same images again: the folder alone, and a DICOMDIR beside it.
    shutil.copy(folder / "in" / "disc" / "DICOMDIR", folder / "in" / "DIR-Oksana-77" / "DICOMDIR")
    source = folder / "in" / "DIR-Oksana-77"
    report = deidentify_images(source, folder / "out", workspace=workspace)
    yield source, folder / "out", report, workspace
    workspace.close()


def test_all_forty_are_in_the_originals_and_none_is_left(done) -> None:
    source, out, report, _ = done
    planted = set(PLANTED)
    assert len(planted) == len(PLANTED) == 57
    names = " ".join(str(path) for path in source.rglob("*"))
    before = b"".join(path.read_bytes() for path in source.rglob("*.dcm"))
    dicomdir = (source / "DICOMDIR").read_bytes()
    missing = [w for w in PLANTED if not holds(before, w) and w not in names]
    assert missing == []
    assert holds(dicomdir, "PX-448812")
    assert report.files == 6
    assert report.directories == 1
    after = "".join(str(path.relative_to(out)) for path in out.rglob("*")).encode()
    after += report.to_json() + str(report).encode()
    for path in out.rglob("*"):
        if path.is_file():
            dataset = pydicom.dcmread(path)
            after += path.read_bytes() + f"{dataset}{dataset.file_meta}".encode()
    assert [word for word in PLANTED if holds(after, word)] == []
    # What names nobody is still said.
    said = {pydicom.dcmread(path).InterventionDescription for path in out.rglob("*.dcm")}
    assert all(text.endswith("liver, left lobe") for text in said)


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="SKIPPED FOR LACK OF DCMTK")
def test_dcmtk_finds_none_either(done) -> None:
    source, out, _, _ = done

    def dump(folder: Path) -> str:
        text = ""
        for path in sorted(folder.rglob("*.dcm")):
            command = ["dcmdump", "+L", "-"]
            data = path.read_bytes().removesuffix(b"BEHIND-THE-END-63")  # DCMTK gives up on it
            done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=60)
            text += done.stdout.decode("latin-1")
        return text

    originals, ours = dump(source), dump(out)
    seen = [word for word in PLANTED if word in originals]
    assert len(seen) > 35
    assert [word for word in PLANTED if word in ours] == []
    assert ours.count("PatientIdentityRemoved") == 6
    assert ours.count("[113100]") == 6


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="SKIPPED FOR LACK OF DICOM3TOOLS")
def test_no_file_is_less_valid_than_before(done) -> None:
    source, out, _, _ = done

    def errors(path: Path) -> set[str]:
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        lines = (told.stdout + told.stderr).splitlines()
        return {re.sub(r"<[^>]*>", "", line) for line in lines if line.startswith("Error")}

    before = set().union(*(errors(path) for path in source.rglob("*.dcm")))
    after = set().union(*(errors(path) for path in out.rglob("*.dcm")))
    assert after - before == set()


def test_studies_series_order_references_and_pixels_hold(done) -> None:
    source, out, report, workspace = done
    old = sorted(
        (pydicom.dcmread(p) for p in source.rglob("*.dcm")),
        key=lambda ds: (ds.SeriesInstanceUID, ds.AcquisitionDateTime),
    )
    by_number = {
        (ds.SeriesDescription if "SeriesDescription" in ds else "", ds.InstanceNumber): ds
        for ds in old
    }
    new = [pydicom.dcmread(p) for p in out.rglob("*.dcm")]
    assert (report.patients, report.studies, report.series) == (1, 1, 2)
    assert len({ds.StudyInstanceUID for ds in new}) == 1
    assert len(by_number) >= 3
    uids = {ds.SOPInstanceUID for ds in new}
    original = pydicom.dcmread(get_testdata_file("CT_small.dcm")).pixel_array
    for ds in new:
        assert ds.ReferencedImageSequence[0].ReferencedSOPInstanceUID in uids
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.PatientIdentityRemoved == "YES"
    for series in {ds.SeriesInstanceUID for ds in new}:
        slices = sorted(
            (ds for ds in new if ds.SeriesInstanceUID == series), key=lambda d: d.InstanceNumber
        )
        times = [ds.AcquisitionDateTime for ds in slices]
        assert times == sorted(times)
        assert [t[8:] for t in times] == [f"101{n}00.000000+0200" for n in (1, 2, 3)]
        for ds in slices:
            np.testing.assert_array_equal(ds.pixel_array, original)
    # Intervals stay: three days from the study to the acquisition.
    day = pydicom.valuerep.DA
    assert {(day(d.AcquisitionDate) - day(d.StudyDate)).days for d in new} == {3}
    images = read_images(out, name="anonymous", workspace=workspace)
    assert len(images) == 2
    assert images.rejected == ()


def test_pseudonyms_are_the_same_in_every_run_and_differ_by_key(done, tmp_path: Path) -> None:
    source, out, _, workspace = done
    deidentify_images(source, tmp_path / "again", workspace=workspace)
    first, again = (
        {str(p.relative_to(f)): p.read_bytes() for p in f.rglob("*.dcm")}
        for f in (out, tmp_path / "again")
    )
    assert first == again
    other = Workspace.open(tmp_path / "home")
    deidentify_images(source, tmp_path / "other", workspace=other)
    names = {p.name for p in (tmp_path / "other").rglob("*.dcm")}
    assert names.isdisjoint(p.name for p in out.rglob("*.dcm"))
    other.close()


def test_burned_in_text_is_suspected(tmp_path: Path, workspace: Workspace) -> None:
    ds = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    ds.BurnedInAnnotation = "NO"
    assert suspicion(ds, ds.pixel_array) == ""
    canvas = Image.fromarray((ds.pixel_array / ds.pixel_array.max() * 200).astype("uint8"))
    ImageDraw.Draw(canvas).text((4, 4), "SHEVCHENKO OKSANA", fill=255)
    assert "look like letters" in suspicion(ds, np.asarray(canvas))
    ds.BurnedInAnnotation = "YES"
    assert "burned in" in suspicion(ds, None)
    del ds.BurnedInAnnotation
    ds.Modality = "US"
    assert "US" in suspicion(ds, None)
    source = tmp_path / "in"
    source.mkdir()
    ds.save_as(source / "us.dcm")
    with pytest.raises(InvalidInput, match="nothing was published"):
        deidentify_images(source, tmp_path / "x", workspace=workspace)
    report = deidentify_images(source, tmp_path / "y", workspace=workspace, burned_in="allow")
    assert report.files == 1


def test_real_x_rays_pass_with_their_pixels(
    datasets: Path, tmp_path: Path, workspace: Workspace
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number, path in enumerate(
        sorted((datasets / "medical/pneumonia_dicom").rglob("*.dcm"))[:20]
    ):
        shutil.copy(path, source / f"{number}.dcm")
    report = deidentify_images(source, tmp_path / "out", workspace=workspace)
    assert report.files == 20
    before = sorted(pydicom.dcmread(p).PixelData for p in source.iterdir())
    assert sorted(pydicom.dcmread(p).PixelData for p in (tmp_path / "out").rglob("*.dcm")) == before


def test_every_sample_file_is_published_or_refused(tmp_path: Path, workspace: Workspace) -> None:
    source = tmp_path / "in"
    source.mkdir()
    samples = sorted(Path(get_testdata_file("CT_small.dcm")).parent.glob("*.dcm"))
    files = [path for path in samples if path.stat().st_size < 400_000][:60]
    for number, file in enumerate(files):
        shutil.copy(file, source / f"{number}.dcm")
    report = deidentify_images(source, tmp_path / "out", workspace=workspace, keep_going=True)
    assert report.files + len(report.refused) + report.directories == len(files)
    assert report.files >= 10
    assert all("Traceback" not in item.reason for item in report.refused)


def test_hostile_and_wrong_input(tmp_path: Path, workspace: Workspace) -> None:
    source = tmp_path / "in"
    source.mkdir()
    with pytest.raises(NotFound, match="no DICOM file"):
        deidentify_images(source, tmp_path / "out", workspace=workspace)
    good = Path(get_testdata_file("CT_small.dcm")).read_bytes()
    (source / "good.dcm").write_bytes(good)
    (source / "cut.dcm").write_bytes(good[:1000])
    (source / "noise.bin").write_bytes(bytes(range(256)) * 100)
    (source / "link.dcm").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="so nothing was published"):
        deidentify_images(source, tmp_path / "out", workspace=workspace)
    assert not (tmp_path / "out").exists()
    report = deidentify_images(source, tmp_path / "out", workspace=workspace, keep_going=True)
    assert report.files == 1
    assert len(report.refused) == 3
    with pytest.raises(InvalidInput, match="not there yet"):
        deidentify_images(source, tmp_path / "out", workspace=workspace)
    with pytest.raises(InvalidInput, match="outside of"):
        deidentify_images(source, source / "inside", workspace=workspace)
