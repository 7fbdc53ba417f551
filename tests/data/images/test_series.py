"""Slices to volumes: grouping and order, against SimpleITK and by hand."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from lepton_ai.data.folder import scan
from lepton_ai.data.images.decode import decode
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.load import load
from lepton_ai.data.images.series import Slice, Volume, decode_series, group_slices
from lepton_ai.storage import Workspace
from tests.data.images.dicom_files import dicom, enhanced, write_series

LIMIT = 2**28
VOLUME = np.arange(5 * 4 * 6, dtype=np.int16).reshape(5, 4, 6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "set"
    made.mkdir()
    return made


def group(folder: Path, workspace: Workspace) -> tuple[list[Slice], list[Volume], list[str]]:
    """Return the slices of a folder, the volumes they form, and the slices' paths."""
    files = [load(file, workspace.objects.seal, LIMIT, None) for file in scan(folder).files]
    slices = [file.piece for file in files if file.piece is not None]
    assert len(slices) == len(files)
    return slices, list(group_slices(slices)), [file.file.path for file in files]


def members(folder: Path, workspace: Workspace) -> list[list[str]]:
    _, volumes, paths = group(folder, workspace)
    return sorted([paths[number] for number in volume.members] for volume in volumes)


def read(folder: Path, workspace: Workspace, volume: Volume, paths: list[str]) -> np.ndarray:
    files = [(folder / paths[number]).read_bytes() for number in volume.members]
    array = decode("dicom", files)
    assert array.shape == volume.meta.shape
    assert array.dtype.name == volume.meta.dtype
    return array


def test_order_follows_position(folder: Path, workspace: Workspace) -> None:
    # Names and instance numbers both tell another order.
    write_series(folder, VOLUME, names=["d", "a", "e", "c", "b"])
    _, (volume,), paths = group(folder, workspace)
    assert [paths[number] for number in volume.members] == ["d", "a", "e", "c", "b"]
    np.testing.assert_array_equal(read(folder, workspace, volume, paths), VOLUME)
    assert volume.meta.spacing == (2.0, 0.5, 0.75)
    assert volume.meta.origin == (10.0, 10.0, 10.0)
    assert volume.meta.attributes["ordered_by"] == "position"


def test_decoding_does_not_depend_on_the_order_of_files(folder: Path) -> None:
    paths = write_series(folder, VOLUME)
    files = [path.read_bytes() for path in reversed(paths)]
    array, meta = decode_series(files, LIMIT)
    np.testing.assert_array_equal(array, VOLUME)
    assert meta.origin == (10.0, 10.0, 10.0)


@pytest.mark.parametrize(
    "orientation",
    [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1), (0.8, 0.6, 0, -0.6, 0.8, 0)],
    ids=["axial", "sagittal", "coronal", "oblique"],
)
def test_geometry_as_simpleitk_sees_it(
    orientation: tuple[float, ...], folder: Path, workspace: Workspace
) -> None:
    normal = np.cross(orientation[:3], orientation[3:])
    write_series(folder, VOLUME, step=tuple(normal * 2.5), orientation=orientation)
    _, (volume,), paths = group(folder, workspace)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    meta = volume.meta
    np.testing.assert_array_equal(
        SimpleITK.GetArrayFromImage(image), read(folder, workspace, volume, paths)
    )
    np.testing.assert_allclose(image.GetSpacing()[::-1], meta.spacing, atol=1e-6)
    np.testing.assert_allclose(image.GetOrigin(), meta.origin, atol=1e-6)
    np.testing.assert_allclose(image.GetDirection(), meta.direction, atol=1e-6)


def test_real_series_as_simpleitk_reads_it(datasets: Path, workspace: Workspace) -> None:
    folder = datasets / "medical/hippocampus_mr/study1/13_HCropVolume"
    _, (volume,), paths = group(folder, workspace)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    theirs = SimpleITK.GetArrayFromImage(image)
    np.testing.assert_array_equal(theirs, read(folder, workspace, volume, paths))
    np.testing.assert_allclose(image.GetSpacing()[::-1], volume.meta.spacing, rtol=1e-5)
    np.testing.assert_allclose(image.GetOrigin(), volume.meta.origin, atol=1e-4)
    np.testing.assert_allclose(image.GetDirection(), volume.meta.direction, atol=1e-5)


def test_several_series_in_one_folder(folder: Path, workspace: Workspace) -> None:
    write_series(folder, VOLUME, names=list("abcde"))
    write_series(folder, VOLUME[:3], names=list("xyz"), SeriesInstanceUID="1.2.3.5")
    assert members(folder, workspace) == [list("abcde"), list("xyz")]


def test_one_series_of_two_orientations(folder: Path, workspace: Workspace) -> None:
    write_series(folder, VOLUME[:2], names=list("ab"))
    write_series(
        folder, VOLUME[:2], names=list("xy"), orientation=(1, 0, 0, 0, 0, -1), step=(0, 2, 0)
    )
    assert members(folder, workspace) == [list("ab"), list("xy")]


def test_two_frames_of_reference(folder: Path, workspace: Workspace) -> None:
    write_series(folder, VOLUME[:2], names=list("ab"), FrameOfReferenceUID="1.5")
    write_series(folder, VOLUME[:2], names=list("xy"), FrameOfReferenceUID="1.6")
    assert members(folder, workspace) == [list("ab"), list("xy")]


def test_two_patients_with_one_series_uid(folder: Path, workspace: Workspace) -> None:
    write_series(folder, VOLUME[:2], names=list("ab"), PatientID="A")
    write_series(folder, VOLUME[:2], names=list("xy"), PatientID="X")
    assert members(folder, workspace) == [list("ab"), list("xy")]


def test_slices_of_other_size_are_their_own_volume(folder: Path, workspace: Workspace) -> None:
    write_series(folder, VOLUME[:2], names=list("ab"))
    write_series(folder, VOLUME[:2, :3], names=list("xy"))
    assert members(folder, workspace) == [list("ab"), list("xy")]


def test_files_without_place_are_images_of_their_own(folder: Path, workspace: Workspace) -> None:
    write_series(folder, VOLUME[:2], names=list("ab"), ImagePositionPatient=None)
    write_series(folder, VOLUME[:2], names=list("cd"), ImageOrientationPatient=None)
    assert members(folder, workspace) == [["a"], ["b"], ["c"], ["d"]]


def test_places_that_are_no_places(folder: Path, workspace: Workspace) -> None:
    write_series(folder, VOLUME[:2], names=list("ab"), ImageOrientationPatient=[1, 0, 0, 1, 0, 0])
    write_series(folder, VOLUME[:1], names=list("c"), ImageOrientationPatient=[0] * 6)
    write_series(folder, VOLUME[:1], names=list("d"), PixelSpacing=[0, 0.5])
    for name, old, new in (("e", b"10.0\\10.0\\12.0", b"10.0\\nan \\12.0"),):
        write_series(folder, VOLUME[:2], names=["f", name])
        path = folder / name
        path.write_bytes(path.read_bytes().replace(old, new))
    slices, _, paths = group(folder, workspace)
    facts = dict(zip(paths, [piece.meta for piece in slices], strict=True))
    assert "bad_orientation" in facts["a"].attributes
    assert "bad_orientation" in facts["c"].attributes
    assert facts["a"].direction is None
    assert facts["d"].spacing is None
    assert "bad_spacing" in facts["d"].attributes
    assert facts["e"].origin is None
    assert "bad_position" in facts["e"].attributes
    assert ["e"] in members(folder, workspace)


def test_gantry_tilt_is_told(folder: Path, workspace: Workspace) -> None:
    step = (0.0, 2 * np.sin(np.radians(15)), 2 * np.cos(np.radians(15)))
    write_series(folder, VOLUME, step=step)
    _, (volume,), _ = group(folder, workspace)
    assert volume.meta.attributes["gantry_tilt"] == "15.000 degrees"
    assert volume.meta.spacing is not None
    assert volume.meta.spacing[0] == pytest.approx(2 * np.cos(np.radians(15)))


def test_missing_slice_is_told(folder: Path, workspace: Workspace) -> None:
    paths = write_series(folder, VOLUME)
    paths[2].unlink()
    _, (volume,), _ = group(folder, workspace)
    assert volume.meta.attributes["irregular_spacing"] == "2 to 4 mm"
    assert volume.meta.spacing == (2.0, 0.5, 0.75)


def test_a_slice_that_is_there_twice_is_left_out(folder: Path, workspace: Workspace) -> None:
    paths = write_series(folder, VOLUME)
    (folder / "copy.dcm").write_bytes(paths[3].read_bytes())
    _, (volume,), names = group(folder, workspace)
    assert len(volume.members) == 5
    assert [(names[one], names[other]) for one, other in volume.copies] == [("copy.dcm", "003.dcm")]


def test_two_slices_at_one_place_are_told(folder: Path, workspace: Workspace) -> None:
    write_series(folder, VOLUME)
    write_series(folder, VOLUME[:1] + 1, names=["other"])
    _, (volume,), _ = group(folder, workspace)
    assert len(volume.members) == 6
    assert volume.meta.attributes["duplicate_positions"] == "1"
    assert volume.meta.spacing == (2.0, 0.5, 0.75)


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("TemporalPositionIdentifier", [1, 2, 3]),
        ("EchoTime", [10, 20, 30]),
        ("AcquisitionNumber", [4, 5, 6]),
        ("DiffusionBValue", [0.0, 500.0, 1000.0]),
    ],
)
def test_volumes_at_the_same_places(
    keyword: str, values: list[float], folder: Path, workspace: Workspace
) -> None:
    volumes = np.arange(3 * 5 * 4 * 6, dtype=np.int16).reshape(3, 5, 4, 6)
    for number in (2, 0, 1):
        attributes = {keyword: values[number], "InstanceNumber": 7}
        write_series(
            folder,
            volumes[number],
            names=[f"{(3 - number) * place:03d}-{number}" for place in range(5)],
            **attributes,
        )
    _, (volume,), paths = group(folder, workspace)
    array = read(folder, workspace, volume, paths)
    np.testing.assert_array_equal(array, volumes)
    assert volume.meta.attributes["ordered_by"] == f"{keyword}, position"
    assert volume.meta.spacing == (2.0, 0.5, 0.75)


def test_one_place_at_several_times(folder: Path, workspace: Workspace) -> None:
    for number in range(4):
        write_series(
            folder, VOLUME[number : number + 1], names=[f"{9 - number}"], TriggerTime=number * 10
        )
    _, (volume,), paths = group(folder, workspace)
    np.testing.assert_array_equal(read(folder, workspace, volume, paths), VOLUME[:4])
    assert volume.meta.spacing == (0.5, 0.75)


def test_slices_are_rescaled_each_in_its_own_way(folder: Path, workspace: Workspace) -> None:
    for number, slope in enumerate(["1", "0.5", "0.25"]):
        write_series(
            folder,
            VOLUME[number : number + 1],
            names=[f"{number}"],
            ImagePositionPatient=[0, 0, number],
            RescaleSlope=slope,
            RescaleIntercept=0,
        )
    _, (volume,), paths = group(folder, workspace)
    array = read(folder, workspace, volume, paths)
    assert volume.meta.dtype == "float32"
    np.testing.assert_array_equal(array, VOLUME[:3] * np.reshape([1, 0.5, 0.25], (3, 1, 1)))


def test_multi_frame_files_of_a_series_stay_apart(folder: Path, workspace: Workspace) -> None:
    for name in "ab":
        data = enhanced(VOLUME[:2].astype(np.uint16), [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        (folder / name).write_bytes(data)
    assert members(folder, workspace) == [["a"], ["b"]]


def test_slices_that_form_no_volume() -> None:
    with pytest.raises(Unreadable, match="form no volume"):
        decode_series([dicom(VOLUME[0]), dicom(VOLUME[1])], LIMIT)


def test_volume_above_the_limit(folder: Path) -> None:
    files = [path.read_bytes() for path in write_series(folder, VOLUME)]
    with pytest.raises(Unreadable) as caught:
        decode_series(files, 200)
    assert caught.value.reason == "too large"
