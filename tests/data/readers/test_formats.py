"""The table of readers, and rows that installed packages add to it."""

import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.read_table import read_table
from lepton_ai.data.readers import formats, suffixes
from lepton_ai.storage import Workspace

READER = '''
import polars as pl
from lepton_ai.data.readers import Format

FORMAT = Format("pairs", (".pairs", ".csv"), "lepton_pairs:read_pairs")


def read_pairs(file, rejects, *, sign="="):
    """Read lines of name=number, some at a time."""
    for number, line in enumerate(file.read().decode().splitlines(), 1):
        name, found, value = line.partition(sign)
        if found:
            yield pl.DataFrame({"name": [name], "value": [int(value)]})
        else:
            rejects.add(number, "no pair", line)
'''


def install(folder: Path, entry: str, code: str) -> None:
    """Lay a package out as pip does."""
    (folder / "lepton_pairs.py").write_text(code)
    info = folder / "lepton_pairs-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lepton-pairs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lepton_ai.readers]\npairs = {entry}\n")
    (info / "RECORD").write_text("lepton_pairs.py,,\n")
    invalidate_caches()


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "lepton_pairs", raising=False)
    return folder


def test_a_package_adds_a_reader(packages: Path, tmp_path: Path, workspace: Workspace) -> None:
    install(packages, "lepton_pairs:FORMAT", READER)
    path = tmp_path / "a.pairs"
    path.write_text("x=1\nnothing\ny=2\n")
    assert ".pairs" in suffixes()
    with pytest.raises(InvalidInput, match="no pair"):
        read_table(path)
    table = read_table(path, rejects="keep")
    assert table.to_polars().rows() == [("x", 1), ("y", 2)]
    assert table.dataset.facts["rejected"]["rows"] == 1
    path.write_text("x: 1\n")
    assert read_table(path, name="b", sign=":").to_polars().rows() == [("x", 1)]
    with pytest.raises(InvalidInput, match=r"read without \['signs'\].*\['sign'\]"):
        read_table(path, signs=":")
    # What is built in stays what it is.
    assert formats()[".csv"].name == "delimited"


def test_what_is_no_format_is_named(packages: Path, tmp_path: Path, workspace: Workspace) -> None:
    install(packages, "lepton_pairs:READER", "READER = 5\n")
    (tmp_path / "a.pairs").write_text("x=1\n")
    with pytest.raises(InvalidInput, match=r"'pairs' of the group 'lepton_ai.readers' gives int"):
        read_table(tmp_path / "a.pairs")


def test_the_table_is_whole() -> None:
    assert all(callable(one.load()) for one in formats().values())
    assert ".docx" not in formats()
