"""Fixtures that every test may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lepton_ai.storage import Workspace

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def datasets() -> Path:
    """The folder of real data sets; the test is skipped, and says so, where it is absent."""
    folder = Path(os.environ.get("LEPTON_DATASETS", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            "SKIPPED FOR LACK OF DATA: put the real data sets beside the project, "
            "at ../shared/data, or set LEPTON_DATASETS"
        )
    return folder


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A fresh workspace, which is also what `Workspace.open()` finds."""
    home = tmp_path / "lepton-home"
    monkeypatch.setenv("LEPTON_HOME", str(home))
    opened = Workspace.open(home)
    yield opened
    opened.close()
