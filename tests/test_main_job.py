"""The main job, end to end: the sample program on real images, and what it leaves behind."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

PROGRAM = """
from lepton_ai import DistributedComputing, DataManagement, MachineLearning

images = DataManagement.read_images("path/to/medical_images")
images = DataManagement.preprocess_images(images)          # normalise, denoise
train, test = DataManagement.split_data(images, test_size=0.2)
model = MachineLearning.train_classifier(train, model_type="SVM")   # or "random forest", "CNN", ...
accuracy = MachineLearning.evaluate(model, test)            # also .recall, .f1, .auc, ...
print(f"Model Accuracy: {accuracy:.2f}")
MachineLearning.deploy_model(model)
"""


@pytest.fixture
def user(tmp_path):
    """A user's shell: runs a command in a home of its own; the server is stopped in the end."""
    environ = {
        **os.environ,
        "LEPTON_HOME": str(tmp_path / "home"),
        "LEPTON_PORT": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
    }

    def user(*command, expect=0):
        outcome = subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=250
        )
        assert outcome.returncode == expect, outcome.stdout + outcome.stderr
        return outcome.stdout

    yield user
    user("lepton", "down")


def curl(user, url, *options):
    """Return status and body of a request that curl sends."""
    out = user("curl", "-s", "-w", "\n%{http_code}", *options, url)
    body, _, status = out.rpartition("\n")
    return int(status), json.loads(body)


def test_the_sample_program_on_chest_x_rays(user, datasets, tmp_path):
    folder = datasets / "medical" / "pneumonia_dicom"
    program = PROGRAM.replace("path/to/medical_images", str(folder))
    out = user(sys.executable, "-W", "error", "-c", program)
    accuracy = float(re.fullmatch(r"Model Accuracy: (\d\.\d\d)\n", out).group(1))
    assert accuracy >= 0.93
    # The program has exited; what it deployed answers.
    status = json.loads(user("lepton", "status", "--json"))
    url = status["endpoints"][0]["url"]
    token = f"Authorization: Bearer {user('lepton', 'token').strip()}"
    image = next((folder / "pneumonia").iterdir())
    sent = ("-H", "Content-Type: application/dicom", "--data-binary", f"@{image}")
    assert curl(user, url, *sent)[0] == 401
    code, answer = curl(user, url, "-H", token, *sent)
    assert code == 200
    assert answer["id"].startswith("prd_")
    assert answer["version"] == 1
    assert curl(user, url, "-H", token, "-F", f"file=@{image}")[0] == 200
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(image.read_bytes()[:900])
    code, answer = curl(
        user,
        url,
        "-H",
        token,
        "-H",
        "Content-Type: application/dicom",
        "--data-binary",
        f"@{broken}",
    )
    assert 400 <= code < 500
    assert len(answer["error"]) > 20
    trail = json.loads(
        user(
            "lepton",
            "trace",
            "--json",
            json.loads(
                user("lepton", "predict", "--json", status["endpoints"][0]["name"], str(image))
            )[0]["id"],
        )
    )
    assert sum(node["kind"] == "source" for node in trail["nodes"]) == 800


def labelled_volumes(datasets: Path, folder: Path) -> None:
    """Copy the hippocampus volumes with a labels.csv: whether the structure is a large one."""
    source = datasets / "medical" / "hippocampus_mr"
    sizes = {
        file.name: int((np.asarray(nibabel.load(file).dataobj) > 0).sum())
        for file in sorted((source / "labels").glob("*.nii.gz"))
    }
    middle = np.median(list(sizes.values()))
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label"])
        for name, size in sizes.items():
            shutil.copy(source / "images" / name, folder / name)
            table.writerow([name, "large" if size > middle else "small"])


def test_the_sample_program_on_volumes_and_a_dicom_series(user, datasets, tmp_path):
    """NIfTI volumes labelled by labels.csv, one DICOM series among them."""
    folder = tmp_path / "volumes"
    labelled_volumes(datasets, folder)
    shutil.copytree(datasets / "medical" / "hippocampus_mr" / "study1", folder / "study1")
    with (folder / "labels.csv").open("a") as file:
        file.write("study1,large\n")
    program = PROGRAM.replace("path/to/medical_images", str(folder))
    out = user(sys.executable, "-W", "error", "-c", program)
    assert re.fullmatch(r"Model Accuracy: \d\.\d\d\n", out)
    shown = json.loads(user("lepton", "data", "show", "volumes", "--json"))
    assert shown["count"] == 41
    assert sum(shown["classes"].values()) == 41
    assert shown["rejected"] == []
    answers = json.loads(
        user("lepton", "predict", "volumes", str(next(folder.glob("*.nii.gz"))), "--json")
    )
    assert answers[0]["label"] in ("large", "small")
