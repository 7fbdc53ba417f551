"""`lepton erase`."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from lepton_ai.apps.cli.main import lepton
from lepton_ai.core.errors import Corrupt, InvalidInput, NotFound, Unavailable
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.ml.registry import get
from lepton_ai.ml.training import train_classifier
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import create_backup, prune_backups

WHO = "CANARY-7731"


def run(*words: object, code: int = 0, typed: str = "") -> str:
    done = CliRunner().invoke(lepton, [*map(str, words)], input=typed)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code
    return done.stdout


@pytest.fixture(autouse=True)
def table(workspace: Workspace) -> None:
    chance = np.random.default_rng(3)
    rows = pl.DataFrame(
        {
            "pid": [WHO, *(f"P-{number:04d}" for number in range(199))],
            "age": chance.integers(20, 90, 200),
            "pressure": chance.normal(120, 10, 200),
            "ill": chance.integers(0, 2, 200),
        }
    )
    train, _ = split_data(read_table(rows, name="visits"), target="ill")
    train_classifier(train, target="ill", model_type="knn", n_neighbors=7)
    train_classifier(train, target="ill", name="forest", n_estimators=5)
    run("data", "describe", "visits", "--column", "pid", "--column-tag", "subject")


def test_planned_erased_trained_again(workspace: Workspace, tmp_path: Path) -> None:
    create_backup(workspace, str(tmp_path / "backups"))
    said = run("erase", "--subject", WHO, "--dry-run")
    assert "rows to remove, by table: visits 1" in said
    assert "models that learned from it: forest:1" in said
    assert "models that hold rows themselves, and go: visits:1" in said
    table = open_dataset("visits", workspace)
    assert len(table) == 200
    report = tmp_path / "report.json"
    words = ("--subject", WHO, "--yes", "--retrain", "--report", report)
    said = run("erase", *words)
    assert "complete: nothing here or in a backup" in said
    assert "trained again: visits:2" in said
    assert len(open_dataset("visits", workspace)) == 199
    again = get("visits@champion", workspace)
    assert again.ref == "visits:2"
    assert again.description.model_type == "k-nearest"
    assert again.description.parameters == {"n_neighbors": 7}
    assert again.description.trained_on.rows == 159
    rows = json.loads(run("models", "ls", "--json"))
    states = {f"{row['model']}:{row['version']}": row["state"] for row in rows}
    assert states == {
        "visits:1": "withdrawn",
        "visits:2": "current",
        "forest:1": "stale",
        "forest:2": "current",
    }
    with pytest.raises(NotFound, match="erased"):
        run("models", "show", "visits:1")
    shown = json.loads(run("erase", "--check", report, "--json"))
    assert shown["complete"]
    assert shown["withdrawn_models"] == ["visits:1"]
    report.write_bytes(report.read_bytes().replace(b"payload", b"Payload"))
    with pytest.raises(Corrupt):
        run("erase", "--check", report)


def test_a_backup_that_cannot_be_reached_is_named(workspace: Workspace, tmp_path: Path) -> None:
    create_backup(workspace, str(tmp_path / "backups"))
    run("erase", "--subject", WHO, "--yes", "--no-backups", code=1)
    said = run("erase", "--subject", WHO, "--yes")
    assert "complete: nothing here or in a backup" in said
    assert "stale models: forest:1" in said


def test_backups_on_a_disk_that_is_elsewhere_are_not_taken_for_removed(
    workspace: Workspace, tmp_path: Path
) -> None:
    usb, other, away = (tmp_path / name for name in ("usb", "other disk", "away"))
    create_backup(workspace, str(usb))
    usb.rename(other)
    second = create_backup(workspace, str(usb), new_place=True)
    usb.rename(away)
    usb.mkdir()
    said = run("erase", "--subject", WHO, "--yes", code=1)
    assert f"backups at {usb}" in said
    assert second.id in said
    assert f"say so: --gone {usb}" in said
    assert "NOT complete" in said
    usb.rmdir()
    # One of two disks that take turns: what is on the other is still missing.
    away.rename(usb)
    said = run("erase", "--subject", WHO, "--yes", code=1)
    assert second.id not in said
    usb.rename(away)
    other.rename(usb)
    assert "complete: nothing here or in a backup" in run("erase", "--subject", WHO, "--yes")


def test_backups_that_are_gone_are_stated_so(workspace: Workspace, tmp_path: Path) -> None:
    usb = tmp_path / "usb"
    lost = create_backup(workspace, str(usb))
    shutil.rmtree(usb)
    with pytest.raises(InvalidInput, match=f"places of backups are: {usb}"):
        run("erase", "--subject", WHO, "--yes", "--gone", tmp_path / "usv")
    report = tmp_path / "report.json"
    said = run("erase", "--subject", WHO, "--yes", "--gone", usb, "--report", report)
    assert f"owner said that {lost.id} exist no more" in said
    shown = json.loads(run("erase", "--check", report, "--json"))
    assert shown["complete"]
    assert shown["backups"][0]["gone"] == [lost.id]
    assert not usb.exists()
    assert "complete: nothing here or in a backup" in run("erase", "--subject", "P-0001", "--yes")


def test_backups_that_never_were_or_were_pruned_are_not_missed(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(Unavailable):
        create_backup(workspace, str(tmp_path / "file" / "backups"))
    for _ in range(2):
        create_backup(workspace, str(tmp_path / "backups"))
    prune_backups(workspace, str(tmp_path / "backups"))
    said = run("erase", "--subject", WHO, "--yes")
    assert "complete: nothing here or in a backup" in said


def test_a_backup_that_cannot_be_renewed_is_told(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_backup(workspace, str(tmp_path / "backups"))

    def fails(*_: object, **__: object) -> None:
        raise NotFound("the pack is not there")

    monkeypatch.setattr("lepton_ai.data.erase.backups.prune_backups", fails)
    said = run("erase", "--subject", WHO, "--yes", code=1)
    assert "the pack is not there" in said
    assert "NOT complete" in said


def test_nobody_and_nothing() -> None:
    with pytest.raises(InvalidInput, match="say who"):
        run("erase")
    assert "nothing here names this person" in run("erase", "--subject", "NOBODY-1", "--dry-run")
    assert "nothing here" in run("erase", "--subject", "7", "--dry-run")
    with pytest.raises(InvalidInput, match=r"no table has columns .'pidd'.*age, ill, pid, pressu"):
        run("erase", "--subject", WHO, "--column", "pidd", "--dry-run")


def test_who_is_asked_and_declines_is_told_that_nothing_went() -> None:
    said = run("erase", "--subject", WHO, typed="n\n", code=1)
    assert said.endswith("nothing was erased\n")
    assert len(open_dataset("visits")) == 200
