"""`lepton models pretrained`."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from lepton_ai.apps.cli.main import lepton
from lepton_ai.ml.registry import get
from lepton_ai.storage import Workspace


def run(*words: str) -> Any:
    return CliRunner().invoke(lepton, ["models", "pretrained", *words], catch_exceptions=False)


@pytest.mark.usefixtures("workspace")
def test_they_are_listed_and_shown() -> None:
    listed = json.loads(run("ls", "--json").stdout)
    assert "credit-risk" in {row["model"] for row in listed}
    said = json.loads(run("show", "credit-risk", "--json").stdout)
    assert said["command"] == "python pretraining/credit_risk.py"
    shown = run("show", "credit-risk").output
    assert "## Not for" in shown
    assert "lepton models pretrained add credit-risk" in shown


def test_one_is_added_once(workspace: Workspace) -> None:
    first = json.loads(run("add", "nodule-malignancy", "--json").stdout)
    assert first == json.loads(run("add", "nodule-malignancy", "--json").stdout)
    assert get("nodule-malignancy", workspace).node.id == first["id"]
    assert "lepton deploy nodule-malignancy:1" in run("add", "nodule-malignancy").output
