"""read_images on real and on hostile folders: what is read, stored, linked and kept aside."""

import gzip
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.core.settings import Settings
from lepton_ai.data.images.fingerprint import coefficients, fingerprint, pixel_digest
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.storage import Workspace
from tests.data.images.dicom_files import dicom, dicomdir, write_series

VOLUME = np.arange(5 * 4 * 6, dtype=np.int16).reshape(5, 4, 6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "my set"
    made.mkdir()
    return made


def png(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(seed)
    Image.fromarray(numbers.integers(0, 256, (9, 8), dtype=np.uint8)).save(path)


def reasons(images: ImageSet) -> dict[str, str]:
    return {file.path: file.reason for file in images.rejected}


def test_class_folders_of_radiographs(datasets: Path, workspace: Workspace) -> None:
    folder = datasets / "medical/pneumonia_dicom"
    images = read_images(folder, workspace=workspace)
    assert (images.name, images.version, len(images)) == ("pneumonia_dicom", 1, 800)
    assert images.classes == ("normal", "pneumonia")
    assert images.rejected == ()
    facts = images.dataset.facts
    assert (facts["labels"], facts["ignored"], facts["files"]) == ("folder", 1, 800)
    for place in range(0, 800, 100):
        image = images[place]
        source = pydicom.dcmread(folder / image.paths[0])
        np.testing.assert_array_equal(image.pixels, source.pixel_array)
        assert image.label == Path(image.paths[0]).parts[0]
        assert image.entry.group == source.PatientID
        assert image.entry.pixels == pixel_digest(source.pixel_array)
        assert image.entry.fingerprint == fingerprint(coefficients(source.pixel_array))


def test_source_files_are_stored_and_linked(folder: Path, workspace: Workspace) -> None:
    write_series(folder / "series", VOLUME)
    png(folder / "photo.png", 0)
    images = read_images(folder, workspace=workspace)
    assert images.name == "my-set"
    parents = workspace.lineage.parents(images.dataset.id)
    assert {role for role, _ in parents} == {"source"}
    paths = {node.facts["path"]: node for _, node in parents}
    assert set(paths) == {str(path) for path in folder.rglob("*") if path.is_file()}
    for path, node in paths.items():
        assert node.digest is not None
        assert workspace.objects.get(node.digest) == Path(path).read_bytes()
    assert workspace.lineage.resolve(str(folder / "photo.png")).kind == "source"
    held = set(workspace.lineage.holds(images.dataset.id))
    assert {part.address for entry in images.entries for part in entry.parts} <= held
    shutil.rmtree(folder)
    volume = next(image for image in images if image.meta.series)
    np.testing.assert_array_equal(volume.pixels, VOLUME)
    assert volume.entry.pixels == pixel_digest(VOLUME)


def test_hippocampus_with_a_table_of_labels(
    datasets: Path, folder: Path, workspace: Workspace
) -> None:
    source = datasets / "medical/hippocampus_mr"
    (folder / "images").mkdir()
    rows = ["file,label"]
    for number, path in enumerate(sorted((source / "images").iterdir())[:6]):
        shutil.copy(path, folder / "images" / path.name)
        rows.append(f"{path.name},{'large' if number % 2 else 'small'}")
    shutil.copytree(source / "study1", folder / "study1")
    rows.append("13_HCropVolume,series")
    (folder / "labels.csv").write_text("\n".join(rows))
    images = read_images(folder, workspace=workspace)
    assert len(images) == 7
    labels = {Path(image.paths[0]).name: image.label for image in images}
    assert list(labels.values())[:6] == ["small", "large"] * 3
    assert images.classes == ("large", "series", "small")
    assert images.dataset.facts["labels"] == "labels.csv"
    assert images.dataset.facts["ignored"] == 1
    volume = next(image for image in images if image.meta.modality == "MR")
    assert (volume.label, len(volume.paths)) == ("series", 32)
    for image in images:
        if image.meta.modality is None:
            theirs = np.asanyarray(nibabel.load(folder / image.paths[0]).dataobj).T
            np.testing.assert_array_equal(image.pixels, theirs)


def test_mixed_formats_in_one_folder(folder: Path, workspace: Workspace) -> None:
    write_series(folder, VOLUME)
    nibabel.save(nibabel.Nifti1Image(VOLUME.T, np.eye(4)), folder / "volume.nii.gz")
    png(folder / "photo.png", 0)
    np.save(folder / "array.npy", VOLUME)
    data = dicom(VOLUME[0], SeriesInstanceUID="1.2.9")
    (folder / "packed.dcm.gz").write_bytes(gzip.compress(data))
    images = read_images(folder, workspace=workspace)
    assert len(images) == 5
    assert {entry.reader for entry in images.entries} == {"dicom", "nifti", "raster", "array"}
    volumes = [array for array in images.arrays() if array.shape == VOLUME.shape]
    assert len(volumes) == 3
    for volume in volumes:
        np.testing.assert_array_equal(volume, VOLUME)
    # Whatever they came in, equal pixels have equal digests.
    assert len({entry.pixels for entry in images.entries}) == 3


def test_reading_again_gives_the_same_version(folder: Path, workspace: Workspace) -> None:
    write_series(folder / "series", VOLUME)
    png(folder / "a.png", 1)
    (folder / "broken.dcm").write_bytes(b"\0" * 500)
    first = read_images(folder, workspace=workspace)
    again = read_images(folder, workspace=workspace)
    assert again.dataset == first.dataset
    png(folder / "b.png", 2)
    second = read_images(folder, workspace=workspace)
    assert (second.version, len(second)) == (2, 3)
    assert set(first.ids) < set(second.ids)
    (folder / "b.png").unlink()
    assert read_images(folder, workspace=workspace).version == 1
    assert read_images(folder, name="other", workspace=workspace).ref == "other:1"


def test_two_imports_at_once(folder: Path, workspace: Workspace) -> None:
    for number in range(40):
        png(folder / f"{number}.png", number)
    barrier = threading.Barrier(3)

    def read(_: int) -> ImageSet:
        barrier.wait()
        return read_images(folder, workspace=workspace)

    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(read, range(3)))
    assert {images.dataset.id for images in results} == {results[0].dataset.id}
    assert results[0].version == 1
    assert list(workspace.objects.verify()) == []


def test_hostile_folder_is_read_around(folder: Path, tmp_path: Path, workspace: Workspace) -> None:
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(dicom(VOLUME[0]))
    good = dicom(VOLUME[0], PatientID="good")
    (folder / "good.dcm").write_bytes(good)
    (folder / "folder.dcm").mkdir()
    (folder / "link.dcm").symlink_to(outside)
    os.mkfifo(folder / "pipe.dcm")
    files = {
        "empty.dcm": b"",
        "short.dcm": good[:200],
        "cut.dcm": good[:-10],
        "program.dcm": b"MZ" + good[2:],
        "zeros.dcm": bytes(1000),
        "noise.bin": np.random.default_rng(0).bytes(1000),
        "huge.dcm": dicom(VOLUME[0], Rows=65535, Columns=65535, NumberOfFrames=999),
        "sealed.dcm": b"Salted__" + bytes(100),
        "envelope.dcm": bytes.fromhex("3082010006092a864886f70d010703") + bytes(100),
        "report.dcm": dicom(),
        "bomb.nii.gz": gzip.compress(bytes(10_000_000)),
        "README": b"a text",
        "DICOMDIR": dicomdir(["GOOD.DCM"], ["..", "outside.dcm"], ["NOT", "THERE"]),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    images = read_images(folder, workspace=workspace)
    assert [image.paths for image in images] == [("good.dcm",)]
    assert reasons(images) == {
        "link.dcm": "hostile",
        "pipe.dcm": "special file",
        "empty.dcm": "truncated",
        "short.dcm": "truncated",
        "cut.dcm": "truncated",
        "program.dcm": "hostile",
        "zeros.dcm": "unsupported",
        "noise.bin": "unsupported",
        "huge.dcm": "too large",
        "sealed.dcm": "encrypted",
        "envelope.dcm": "encrypted",
        "report.dcm": "no pixels",
        "bomb.nii.gz": "unsupported",
        "DICOMDIR": "hostile",
        "NOT/THERE": "missing",
    }
    assert all(file.detail for file in images.rejected)
    assert images.dataset.facts["ignored"] == 2
    assert images.dataset.facts["rejected"]["encrypted"] == 2
    stored = {part.path for entry in images.entries for part in entry.parts}
    assert stored == {"good.dcm"}


def test_nothing_readable(folder: Path, workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="holds no image among 0 files"):
        read_images(folder, workspace=workspace)
    (folder / "x.dcm").write_bytes(b"\0" * 300)
    with pytest.raises(InvalidInput, match=r"could be read \(1 unsupported\); the first: x.dcm"):
        read_images(folder, workspace=workspace)
    with pytest.raises(NotFound):
        read_images(folder / "nothing", workspace=workspace)
    assert workspace.lineage.list("dataset") == []


def test_dicomdir_stands_for_what_it_lists(workspace: Workspace, folder: Path) -> None:
    source = Path(get_testdata_file("DICOMDIR")).parent
    for name in ("77654033", "98892001", "98892003"):
        shutil.copytree(source / name, folder / name)
    shutil.copy(source / "DICOMDIR", folder / "DICOMDIR")
    (folder / "extra.dcm").write_bytes(dicom(VOLUME[0]))
    listed = read_images(folder / "DICOMDIR", name="listed", workspace=workspace)
    assert sum(len(image.paths) for image in listed) == 31
    assert listed.rejected == ()
    whole = read_images(folder, name="whole", workspace=workspace)
    assert sum(len(image.paths) for image in whole) == 32
    shutil.rmtree(folder / "98892001")
    partly = read_images(folder, name="partly", workspace=workspace)
    assert set(reasons(partly).values()) == {"missing"}
    assert len(partly.rejected) == 7


def test_single_files(folder: Path, workspace: Workspace) -> None:
    (folder / "one.dcm").write_bytes(dicom(VOLUME[0]))
    png(folder / "two.png", 0)
    images = read_images(folder / "one.dcm", workspace=workspace)
    assert (images.name, [image.paths for image in images]) == ("one", [("one.dcm",)])
    (folder / "three.dcm").write_bytes(b"")
    with pytest.raises(InvalidInput, match="could be read"):
        read_images(folder / "three.dcm", workspace=workspace)


def test_label_from_an_attribute(folder: Path, workspace: Workspace) -> None:
    for name, part in (("a", "CHEST"), ("b", "HEAD"), ("c", None)):
        (folder / name).write_bytes(
            dicom(VOLUME[0], BodyPartExamined=part, SeriesInstanceUID=f"1.{ord(name)}")
        )
    images = read_images(folder, label="BodyPartExamined", workspace=workspace)
    assert [image.label for image in images] == ["CHEST", "HEAD", None]
    told = dicom(VOLUME[0], SpecificCharacterSet="ISO_IR 192", StudyDescription="Größe")
    (folder / "a").write_bytes(told)
    images = read_images(folder, label="StudyDescription", workspace=workspace)
    assert images[0].label == "Größe"
    with pytest.raises(InvalidInput, match="did you mean BodyPartExamined"):
        read_images(folder, label="BodyPartExamine", workspace=workspace)


def test_labels_that_are_asked_for(folder: Path, tmp_path: Path, workspace: Workspace) -> None:
    for name in ("cat/1", "cat/2", "dog/3", "dog/4"):
        png(folder / f"{name}.png", int(name[-1]))

    def labels(**options: object) -> list[str | None]:
        return [image.label for image in read_images(folder, workspace=workspace, **options)]

    assert labels() == ["cat", "cat", "dog", "dog"]
    assert labels(label=None) == [None] * 4
    table = tmp_path / "elsewhere.csv"
    table.write_text("file,label\n1,x\n2.png,x\ncat/2.png,x\n3,y\n4,y\n")
    assert labels(label=table) == ["x", "x", "y", "y"]
    assert labels(label=str(table)) == ["x", "x", "y", "y"]
    (folder / "own.csv").write_text("file,label\n1,u\n2,v\n3,u\n")
    assert labels(label="own.csv") == ["u", "v", "u", None]
    (folder / "labels.csv").write_text("file,label\n1,u\n2,v\n3,u\n4,v\n")
    assert labels() == ["u", "v", "u", "v"]
    assert labels(label="folder") == ["cat", "cat", "dog", "dog"]
    (folder / "labels.csv").write_text("file,label\n8,u\n9,v\n")
    with pytest.raises(InvalidInput, match="none of the 2 rows"):
        labels()
    with pytest.raises(NotFound):
        labels(label="nowhere.csv")


def test_folders_of_patients_are_no_classes(folder: Path, workspace: Workspace) -> None:
    for patient in ("P1", "P2"):
        for series in "12":
            write_series(
                folder / patient / series,
                VOLUME,
                PatientID=patient,
                SeriesInstanceUID=f"1.{patient[1]}.{series}",
            )
    images = read_images(folder, workspace=workspace)
    assert [image.label for image in images] == [None] * 4
    assert images.groups.tolist() == ["P1", "P1", "P2", "P2"]


def test_one_series_in_two_folders(folder: Path, workspace: Workspace) -> None:
    names = [f"{number}.dcm" for number in range(5)]
    write_series(folder / "a", VOLUME, names=names)
    (folder / "b").mkdir()
    for name in names[:3]:
        (folder / "a" / name).rename(folder / "b" / name)
    (image,) = read_images(folder, workspace=workspace)
    np.testing.assert_array_equal(image.pixels, VOLUME)
    parted = read_images(folder, label="folder", workspace=workspace)
    assert [(image.label, len(image.paths)) for image in parted] == [("a", 2), ("b", 3)]


def test_groups(folder: Path, workspace: Workspace) -> None:
    (folder / "x").mkdir()
    (folder / "x/a.dcm").write_bytes(dicom(VOLUME[0]))
    (folder / "x/b.dcm").write_bytes(dicom(VOLUME[1], PatientID=""))
    png(folder / "c.png", 0)

    def groups(group: str) -> list[str]:
        return read_images(folder, group=group, workspace=workspace).groups.tolist()

    assert groups("patient") == ["c.png", "P1", "1.2.3"]
    assert groups("study") == ["c.png", "1.2.3", "1.2.3"]
    assert groups("series") == ["c.png", "1.2.3.4", "1.2.3.4"]
    assert groups("folder") == [".", "x", "x"]
    assert groups("file") == ["c.png", "x/a.dcm", "x/b.dcm"]
    with pytest.raises(InvalidInput, match="group is one of patient, study"):
        groups("hospital")


def test_stack_with_labels(datasets: Path, workspace: Workspace) -> None:
    images = read_images(datasets / "medical/pneumoniamnist", workspace=workspace)
    assert len(images) == 5856
    assert images.classes == ("0", "1")
    with np.load(datasets / "medical/pneumoniamnist/pneumoniamnist.npz") as archive:
        expected = archive["test_images"]
        labels = archive["test_labels"].ravel().astype(str)
    tests = [
        place
        for place, entry in enumerate(images.entries)
        if entry.meta.attributes["member"] == "test_images"
    ]
    assert images.labels is not None
    np.testing.assert_array_equal(images.labels[tests], labels)
    np.testing.assert_array_equal(images[tests[::50]].to_numpy(), expected[::50])


def test_limit_of_the_settings(folder: Path, tmp_path: Path) -> None:
    (folder / "small.dcm").write_bytes(dicom(VOLUME[0]))
    (folder / "large.dcm").write_bytes(dicom(np.zeros((100, 100), np.uint16), PatientID="L"))
    write_series(folder / "series", VOLUME, SeriesInstanceUID="1.9")
    home = Settings(home=tmp_path / "small-home", max_image_bytes=200)
    with Workspace.open(settings=home).transaction():
        pass
    images = read_images(folder, workspace=Workspace.open(settings=home))
    assert [image.paths for image in images] == [("small.dcm",)]
    assert reasons(images)["large.dcm"] == "too large"
    assert reasons(images)["series/002.dcm"] == "too large"


def test_a_copy_of_a_slice_is_kept_aside(folder: Path, workspace: Workspace) -> None:
    paths = write_series(folder, VOLUME)
    shutil.copy(paths[2], folder / "copy.dcm")
    images = read_images(folder, workspace=workspace)
    assert reasons(images) == {"copy.dcm": "duplicate"}
    np.testing.assert_array_equal(images[0].pixels, VOLUME)


def test_pictures_that_are_equal_are_all_kept(folder: Path, workspace: Workspace) -> None:
    png(folder / "a" / "1.png", 0)
    png(folder / "b" / "2.png", 0)
    images = read_images(folder, workspace=workspace)
    assert len(images) == 2
    assert images.entries[0].pixels == images.entries[1].pixels
    assert images.ids[0] != images.ids[1]
    assert images.entries[0].parts[0].address == images.entries[1].parts[0].address


def test_name_of_a_folder_that_cannot_be_one(tmp_path: Path, workspace: Workspace) -> None:
    for name, expected in (("a b:c@d", "a-b-c-d"), ("...", "images"), ("Größe", "Größe")):
        png(tmp_path / name / "1.png", 0)
        assert read_images(tmp_path / name, workspace=workspace).name == expected


def test_a_volume_rescaled_by_slice_keeps_its_digest(folder: Path, workspace: Workspace) -> None:
    for number, slope in enumerate(["1", "0.5", "2"]):
        write_series(
            folder,
            VOLUME[number : number + 1],
            names=[str(number)],
            ImagePositionPatient=[0, 0, number],
            RescaleSlope=slope,
            RescaleIntercept=0,
        )
    (image,) = read_images(folder, workspace=workspace)
    assert image.meta.dtype == "float32"
    assert image.entry.pixels == pixel_digest(image.pixels)
