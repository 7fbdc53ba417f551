"""The programs in `examples/` run as their users run them, and say what they should."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer

from lepton_ai.apps.cli.phantoms import write_phantoms

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """Run an example in a folder with a workspace of its own, and return what it prints."""
    folder = tmp_path_factory.mktemp("examples")
    environ = {
        **os.environ,
        "LEPTON_HOME": str(folder / "home"),
        "LEPTON_PORT": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
    }
    write_phantoms(folder / "scans", count=40)
    bunch = load_breast_cancer(as_frame=True)
    bunch.data.head(5).to_csv(folder / "biopsies.csv", index=False)

    def run(program: str, *arguments: str) -> str:
        command = ["sh"] if program.endswith(".sh") else [sys.executable]
        outcome = subprocess.run(
            [*command, EXAMPLES / program, *arguments],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return outcome.stdout

    yield run
    subprocess.run(["lepton", "down"], env=environ, timeout=60, check=False)


def test_images_become_an_endpoint_that_curl_asks(example):
    said = example("chest_xrays.py", "scans")
    assert "Model Accuracy: " in said
    assert "lepton trace prd_" in said
    answer = json.loads(example("client_curl.sh", "scans", "scans/nodule/phantom-0002.dcm"))
    assert [row["label"] for row in answer["predictions"]] == ["nodule"]


def test_a_model_of_records_is_chosen_and_asked_over_the_protocol(example):
    said = example("clinical_records.py")
    assert "chosen: " in said
    assert "on biopsies:1, test side: 114 rows" in said
    labels = [
        line.split()[0]
        for line in example("client_tritonclient.py", "biopsies", "biopsies.csv").splitlines()
    ]
    assert labels == ["malignant"] * 5


def test_engines_agree(example):
    threads = example("parallel.py", "threads")
    assert threads == example("parallel.py", "processes")
    assert "mean fractal dimension     p = 0.7519" in threads


def test_every_example_is_run_here():
    tests = Path(__file__).read_text()
    assert all(f'"{path.name}"' in tests for path in EXAMPLES.iterdir() if path.is_file())


def test_the_data_platform_on_real_data(example, datasets):
    said = example("data_tour.py", str(datasets))
    for line in (
        "bank.credit:1: 1,000 rows; imported again it is bank.credit:1",
        "of 2 more rows 1 entered, 1 kept aside",
        "an analyst sees [None, None]",
        "tells most of credit: checking_status",
        "traffic repeats every 288 and 2016 steps",
        "the oddest engine state: sensor9",
        "k-anonymity from 1 to 10",
        "left: 0.5",
        "2 images of one patient are gone, 398 are left",
        "backups made anew: 1; complete and signed: True",
        "plant.engines:6: 20,631 rows, updated 1",
        "sensors that never change: s3, sensor1, sensor5, sensor10, sensor16, sensor18, sensor19",
        "259 cycles",
        "400 files of 195 patients",
        "ward.anonymous:1: 400 images",
        "faults: 0",
        "rows of plant.engines, the same: True",
    ):
        assert line in said, f"{line} is not in:\n{said}"
