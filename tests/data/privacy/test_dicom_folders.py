import sys
from collections import Counter
from pathlib import Path

import pytest

from lepton_ai.apps.cli.phantoms import write_phantoms
from lepton_ai.core.errors import InvalidInput, MissingExtra
from lepton_ai.data.images.read import read_images
from lepton_ai.data.privacy.dicom import deidentify_images, profile
from lepton_ai.storage import Workspace


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_phantoms(tmp_path / "in", count=8)
    return tmp_path / "in"


def test_class_folders_are_kept_and_are_labels(
    source: Path, tmp_path: Path, workspace: Workspace
) -> None:
    report = deidentify_images(source, tmp_path / "out", workspace=workspace, keep_folders=True)
    assert report.files == 8
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"clear", "nodule"}
    assert not {path.stem for path in source.rglob("*.dcm")} & {
        path.stem for path in (tmp_path / "out").rglob("*.dcm")
    }
    images = read_images(tmp_path / "out", workspace=workspace)
    assert Counter(images.labels) == {"clear": 4, "nodule": 4}


def test_folders_go_unless_they_are_asked_for(
    source: Path, tmp_path: Path, workspace: Workspace
) -> None:
    deidentify_images(source, tmp_path / "out", workspace=workspace)
    assert all(path.name.startswith("anon-") for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("phantom 0000", "holds an identifier"),
        ("ward of GENERATED", "holds an identifier"),
        ("generated/clear", "holds an identifier"),
        ("case 4711001", "number that may be a person's"),
    ],
)
def test_a_folder_that_names_a_patient_is_refused(
    name: str, reason: str, source: Path, tmp_path: Path, workspace: Workspace
) -> None:
    (source / name).parent.mkdir(exist_ok=True)
    (source / "clear").rename(source / name)
    with pytest.raises(InvalidInput, match=f"4 of 8 files were refused.*{reason}"):
        deidentify_images(source, tmp_path / "out", workspace=workspace, keep_folders=True)
    report = deidentify_images(
        source, tmp_path / "out", workspace=workspace, keep_folders=True, keep_going=True
    )
    assert report.files == len(report.refused) == 4
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["nodule"]


def test_a_run_in_which_every_file_is_refused_leaves_nothing(
    tmp_path: Path, workspace: Workspace
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(b"no DICOM")
    with pytest.raises(InvalidInput, match="1 of 1 files were refused"):
        deidentify_images(tmp_path / "in", tmp_path / "out", workspace=workspace, keep_going=True)
    assert not (tmp_path / "out").exists()


def test_without_the_tables_of_the_standard_it_stops_at_once(
    source: Path, tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("dicomanonymizer")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "dicomanonymizer", None)
    profile._table.cache_clear()
    with pytest.raises(MissingExtra, match=r"lepton-ai\[privacy\]"):
        deidentify_images(source, tmp_path / "out", workspace=workspace, keep_going=True)
