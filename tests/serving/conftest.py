"""Models that were really trained, and servers that are stopped whatever happens."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits

from lepton_ai.core.settings import Settings
from lepton_ai.data.images.read import read_images
from lepton_ai.ml.training import train_classifier
from lepton_ai.serving.process import down
from lepton_ai.serving.supervisor import Running, pid_file, replica_files
from lepton_ai.storage import Workspace

COLUMNS = [str(name).replace(" ", "_") for name in load_breast_cancer().feature_names]


def tumours() -> tuple[np.ndarray, list[str]]:
    """Real measurements of cell nuclei (569, 30), and whether the tumour was malignant."""
    data = load_breast_cancer()
    return data.data, [str(data.target_names[code]) for code in data.target]


def records(rows: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows.tolist()]


def open_workspace(home: Path, **environ: str) -> Workspace:
    """Open a workspace whose server takes any free port."""
    return Workspace.open(settings=Settings.load(home, {"LEPTON_PORT": "0", **environ}))


def stop(workspace: Workspace) -> None:
    """Stop a workspace's server; whatever does not stop is killed, by its process id."""
    files = [pid_file(workspace.home), *replica_files(workspace.home)]
    try:
        down(workspace, timeout=15)
    finally:
        deadline = time.monotonic() + 10
        while any(file.held() for file in files):
            running = pid_file(workspace.home).read(Running)
            pids = [file.read(int) for file in files[1:]] + [running.pid if running else None]
            for pid in filter(None, pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline, "a server does not end"
            time.sleep(0.05)
        workspace.close()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a workspace with models of every kind; tests copy it."""
    home = tmp_path_factory.mktemp("trained") / "home"
    workspace = open_workspace(home)
    values, labels = tumours()
    frame = pl.DataFrame({**dict(zip(COLUMNS, values.T, strict=True)), "diagnosis": labels})
    for seed in (0, 1, 2):
        train_classifier(
            frame,
            target="diagnosis",
            name="tumour",
            seed=seed,
            workspace=workspace,
            n_estimators=20,
        )
    train_classifier((values, labels), name="rows", workspace=workspace, n_estimators=10)
    folder = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if label < 2 and index < 400:
            (folder / str(label)).mkdir(exist_ok=True)
            pixels = (image * 15).astype(np.uint8)
            Image.fromarray(pixels).save(folder / str(label) / f"{index}.png")
    images = read_images(folder, name="digits", workspace=workspace)
    train_classifier(images, model_type="KNN", name="digits", workspace=workspace)
    workspace.close()
    return home


@pytest.fixture
def serving_workspace(trained: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of the trained workspace; its server, if a test starts one, is stopped."""
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    workspace = open_workspace(home)
    try:
        yield workspace
    finally:
        stop(workspace)
