"""The README's and the guides' code blocks run as they stand, in order, in one fresh folder.

Blocks marked ``python`` run in a fresh interpreter each, blocks marked ``sh`` in bash; what
only shows output is marked ``text``. Around them stand what the text says the reader has: a
folder of images, `scans`, and a table, `patients.csv`.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer

from lepton_ai.apps.cli.phantoms import write_phantoms

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The README's commands that set the machine up are what `make` itself is for.
SETUP = re.compile(r"^(git clone|cd |make |pip install)", re.MULTILINE)


@pytest.fixture
def reader(tmp_path):
    """A folder and an environment like those of a reader who follows the text."""
    write_phantoms(tmp_path / "scans", count=80)
    records = load_breast_cancer(as_frame=True).frame
    records["diagnosis"] = records.pop("target").map({0: "malignant", 1: "benign"})
    records.to_csv(tmp_path / "patients.csv", index=False)
    environ = {
        **os.environ,
        "LEPTON_HOME": str(tmp_path / "home"),
        "LEPTON_PORT": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
    }
    yield tmp_path, environ
    subprocess.run(["lepton", "down"], env=environ, cwd=tmp_path, timeout=60, check=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run(page, reader):
    folder, environ = reader
    blocks = [
        (language, code)
        for language, code in BLOCK.findall(page.read_text())
        if not SETUP.search(code)
    ]
    for language, code in blocks:
        command = [sys.executable, "-c", code] if language == "python" else ["bash", "-euc", code]
        outcome = subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120
        )
        assert outcome.returncode == 0, f"{page.name}:\n{code}\n{outcome.stdout}{outcome.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_reference_pages_are_those_of_the_code():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    for page, write in reference.PAGES.items():
        assert (ROOT / "docs" / page).read_text() == write(), f"run `make docs`: {page} is old"
