"""What every script here shares: the data, a workspace for the time of a run, and the shelf."""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from PIL import Image

from lepton_ai import __version__
from lepton_ai.core.settings import Settings
from lepton_ai.data.images.read import read_images
from lepton_ai.ml.bundle.cards import render
from lepton_ai.ml.bundle.origin import Origin
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Outcome
from lepton_ai.ml.pretrained.shelf import FOLDER, write
from lepton_ai.storage import Workspace

ROOT = Path(__file__).resolve().parents[1]
# The signature is that of whoever registers the model; the rest is written anew.
_MADE_ANEW = {"model.json", "card.md", "signature.json"}


def folder() -> Path:
    """Return the folder of the data sets, or end the run and say what is missing."""
    found = Path(os.environ.get("LEPTON_DATASETS", ROOT.parent / "shared" / "data"))
    if not found.is_dir():
        sys.exit(
            f"SKIPPED FOR LACK OF DATA: {found} is no folder; name the folder of the open data "
            "sets by LEPTON_DATASETS (docs/open-datasets.md)"
        )
    return found


@contextmanager
def scratch() -> Iterator[Workspace]:
    """Give a workspace that is gone after the run."""
    with tempfile.TemporaryDirectory() as home:
        # Networks come to the same bytes for the same number of threads.
        place = Workspace.open(settings=Settings(home=Path(home) / "workspace", workers=1))
        try:
            yield place
        finally:
            place.close()


def chest_xrays(data: Any, part: str, place: Workspace, rows: Sequence[int] | None = None) -> Any:
    """Return a part of PneumoniaMNIST as an image set with class folders."""
    pixels, labels = data[f"{part}_images"], data[f"{part}_labels"].ravel()
    with tempfile.TemporaryDirectory() as where:
        for number in range(len(pixels)) if rows is None else rows:
            target = Path(where) / ("pneumonia" if labels[number] else "normal")
            target.mkdir(exist_ok=True)
            Image.fromarray(pixels[number]).save(target / f"{part}-{number:04}.png")
        return read_images(where, name=f"pneumoniamnist-{part}", label="folder", workspace=place)


def digests(*paths: str) -> dict[str, str]:
    """Return the SHA-256 of files among the data sets."""
    return {path: hashlib.sha256((folder() / path).read_bytes()).hexdigest() for path in paths}


def ship(
    model: Model,
    name: str,
    script: str,
    started: float,
    *,
    outcome: Outcome | None = None,
    **said: Any,
) -> None:
    """Put a model on the package's shelf, print its figures, and say where it lies.

    Args:
        started: processor seconds at the start of the run.
        outcome: what the answers mean, where a threshold was chosen after the training.
        said: the fields of the model's `Origin`.
    """
    origin = Origin(package=__version__, command=f"python pretraining/{script}", **said)
    description = replace(
        model.description,
        name=name,
        origin=origin,
        outcome=outcome or model.description.outcome,
        files={},
    )
    files = {n: model.bundle.read(n) for n in model.bundle.names if n not in _MADE_ANEW}
    files["card.md"] = render(description, model.predictor.preparation).encode()
    files["model.json"] = description.to_json()
    write(name, origin.title, files)
    for figure, value in origin.figures.items():
        print(f"{figure}: {value}")
    size = sum(map(len, files.values()))
    print(f"{name}: {size / 1e6:.2f} MB in {FOLDER / name}, {time.process_time() - started:.0f} s "
          "of processor")  # fmt: skip


def spread(values: Sequence[float]) -> str:
    """Write the mean of repetitions with its deviation."""
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"
