"""`lepton demo`, as `make demo` runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from lepton_ai.apps.cli.phantoms import write_phantoms

LEPTON = Path(sys.executable).with_name("lepton")


@pytest.fixture
def lepton(tmp_path):
    """Run `lepton` in a home of its own, and stop its server in the end."""
    environ = {**os.environ, "LEPTON_HOME": str(tmp_path / "home"), "LEPTON_PORT": "0"}

    def lepton(*words):
        return subprocess.run(
            [LEPTON, *words], env=environ, capture_output=True, text=True, timeout=120
        )

    yield lepton
    assert lepton("down").returncode == 0


def test_the_demo_leaves_a_live_endpoint_behind(lepton):
    outcome = lepton("demo")
    assert outcome.returncode == 0, outcome.stderr
    assert "real biopsies" in outcome.stdout
    assert "generated" in outcome.stdout
    url = next(line.split()[1] for line in outcome.stdout.splitlines() if line.startswith("POST"))
    assert urllib3.request("POST", url, body=b"x").status == 401
    tried = [
        line.split("lepton ", 1)[1]
        for line in outcome.stdout.splitlines()
        if line.startswith("  ") and "lepton " in line and "FOLDER" not in line
    ]
    assert len(tried) == 6
    for command in tried:
        again = lepton(*command.split())
        assert again.returncode == 0, (command, again.stderr)


def test_the_demo_takes_the_callers_images(lepton, tmp_path):
    write_phantoms(tmp_path / "mine", count=40, seed=5)
    outcome = lepton("demo", "--data", str(tmp_path / "mine"), "--json")
    assert outcome.returncode == 0, outcome.stderr
    told = json.loads(outcome.stdout)
    assert told["records"] is None
    assert told["images"]["rows"] == 8
    assert told["answer"]["label"] in ("clear", "nodule")
    assert told["seconds"] < 60


def test_images_without_labels_get_advice(lepton, tmp_path):
    folder = tmp_path / "flat"
    write_phantoms(tmp_path / "labelled", count=6)
    folder.mkdir()
    for file in (tmp_path / "labelled").rglob("*.dcm"):
        file.rename(folder / file.name)
    outcome = lepton("demo", "--data", str(folder))
    assert outcome.returncode == 1
    assert "labels.csv" in outcome.stderr
    assert "Traceback" not in outcome.stderr
