import json
import shutil
import tomllib
from pathlib import Path

import pytest

from lepton_ai.core.errors import Corrupt, NotFound
from lepton_ai.ml.pretrained.adding import description_of
from lepton_ai.ml.pretrained.shelf import FOLDER, read, shelved

ROOT = Path(__file__).resolve().parents[3]
NAMES = {
    "chest-xray-pneumonia",
    "credit-risk",
    "nodule-malignancy",
    "traffic-flow",
    "turbofan-life",
}
SAFE = {".onnx", ".safetensors", ".txt", ".json", ".md"}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "models"))


def test_the_table_names_every_file_and_all_are_of_safe_formats() -> None:
    assert set(shelved()) == NAMES
    there = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    told = {f"{name}/{file}" for name, one in shelved().items() for file in one.files}
    assert there - {"table.json"} == told
    assert {Path(file).suffix for file in told} <= SAFE
    for name in NAMES:
        assert set(read(name)) == set(shelved()[name].files)


def test_the_wheel_holds_them_and_they_are_small() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = said["tool"]["setuptools"]["package-data"]["lepton_ai"]
    package = ROOT / "lepton_ai"
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    files = {path for path in FOLDER.rglob("*") if path.is_file()}
    assert files <= packed
    assert sum(path.stat().st_size for path in files) < 8_000_000


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_says_where_it_is_from_and_what_it_is_not_for(name: str) -> None:
    origin = description_of(name).origin
    assert origin is not None
    assert origin.figures
    assert origin.licence
    assert origin.attribution
    assert len(origin.limits) >= 2
    assert (ROOT / origin.command.removeprefix("python ")).is_file()
    card = read(name)["card.md"].decode()
    for said in (origin.use, origin.licence, origin.attribution, *origin.limits):
        assert said in card
    if "CC BY" in origin.licence:
        assert "creativecommons.org" in card
        assert "Changed:" in card


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotFound, match=r"did you mean credit-risk\? There are: chest-xray"):
        read("credit-risks")


def test_an_altered_file_is_refused(copied: Path) -> None:
    path = copied / "credit-risk" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Corrupt, match="not the file that was shipped"):
        read("credit-risk", copied)


def test_a_missing_file_is_told(copied: Path) -> None:
    (copied / "credit-risk" / "encoding.json").unlink()
    with pytest.raises(Corrupt, match=r"encoding\.json is missing"):
        read("credit-risk", copied)


def test_a_name_that_no_model_has_is_not_even_opened(copied: Path) -> None:
    table = json.loads((copied / "table.json").read_bytes())
    table["credit-risk"]["files"]["../../secret"] = "0" * 64
    (copied / "table.json").write_text(json.dumps(table))
    with pytest.raises(Corrupt, match="no file of a model"):
        read("credit-risk", copied)


def test_a_broken_table_is_told(copied: Path) -> None:
    (copied / "table.json").write_text("[]")
    with pytest.raises(Corrupt, match="no table of models"):
        shelved(copied)
