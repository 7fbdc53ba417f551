"""`lepton deidentify`."""

import json
import shutil
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner
from pydicom.data import get_testdata_file

from lepton_ai.apps.cli.main import lepton
from lepton_ai.core.errors import InvalidInput
from lepton_ai.storage import Workspace


def run(*words: object) -> str:
    done = CliRunner().invoke(lepton, [*map(str, words)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_a_folder_is_copied_and_told_of(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("CT_small.dcm", "MR_small.dcm"):
        shutil.copy(str(get_testdata_file(name)), source)
    (source / "read me.txt").write_text("no image")
    with pytest.raises(InvalidInput, match=r"1 of 3 files were refused.*--keep-going"):
        run("deidentify", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = json.loads(run("deidentify", source, tmp_path / "out", "--keep-going", "--json"))
    assert (report["files"], report["patients"], report["pixels_checked"]) == (2, 2, 2)
    assert report["refused"] == [{"place": 2, "reason": "it is no DICOM file"}]
    originals = {pydicom.dcmread(path).PatientID for path in source.glob("*.dcm")}
    copies = [pydicom.dcmread(path) for path in (tmp_path / "out").rglob("*.dcm")]
    assert originals.isdisjoint(copy.PatientID for copy in copies)
    said = run("deidentify", tmp_path / "out", tmp_path / "again")
    assert "2 files of 2 patients" in said
    assert "Next: lepton data import" in said
