"""Real chest X-rays as image sets."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.storage import Workspace


def chest_xrays(datasets: Path, part: str, rows: Iterable[int], workspace: Workspace) -> ImageSet:
    """Read some of the official training, validation or test images from class folders."""
    with np.load(datasets / "medical/pneumoniamnist/pneumoniamnist.npz") as data:
        pixels, labels = data[f"{part}_images"], data[f"{part}_labels"].ravel()
    with tempfile.TemporaryDirectory() as where:
        for row in rows:
            target = Path(where) / ("pneumonia" if labels[row] else "normal")
            target.mkdir(exist_ok=True)
            Image.fromarray(pixels[row]).save(target / f"{row:04}.png")
        return read_images(where, name=f"chest-{part}", label="folder", workspace=workspace)
