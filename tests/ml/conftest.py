from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.storage import Workspace


def paint(folder: Path, count: int = 24, size: int = 12, seed: int = 0) -> Path:
    """Write grey squares on noise as PNG files: in the left half for `left`, else in the right."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        label = "left" if number % 2 else "right"
        pixels = rng.integers(0, 90, (size, size), dtype=np.uint8)
        start = size // 8 if label == "left" else size // 2 + size // 8
        pixels[size // 4 : -size // 4, start : start + size // 4] = 200
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / label / f"{size}-{number:03}.png")
    return folder


@pytest.fixture
def painted(tmp_path: Path, workspace: Workspace) -> ImageSet:
    return read_images(paint(tmp_path / "squares"), workspace=workspace)


@pytest.fixture
def loans() -> pl.DataFrame:
    """Rows with numbers, text, gaps and an identifier; `risk` follows from age and job."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 200).astype(float)
    job = rng.choice(["none", "nurse", "driver"], 200)
    risk = np.where((age < 35) | (job == "none"), "bad", "good")
    age[::17] = np.nan
    return pl.DataFrame(
        {
            "id": [f"customer {n}" for n in range(200)],
            "age": age,
            "job": job,
            "amount": rng.normal(1000, 300, 200).round(2),
            "risk": risk,
        }
    ).with_columns(pl.col("age").fill_nan(None))
