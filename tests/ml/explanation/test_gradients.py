"""Networks: integrated gradients add up, and pictures show where the answer comes from."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.ml.explanation.explanation import Explanation
from lepton_ai.ml.explanation.gradients import grad_cam, integrated_gradients
from lepton_ai.ml.networks.graph import Graph
from lepton_ai.ml.training import train_classifier, train_regressor
from lepton_ai.storage import Workspace

from ..conftest import paint


def graph(body: nn.Module, shape: tuple[int, ...], outputs: int, kind: str) -> Graph:
    features = int(np.prod(shape))
    moments = [
        torch.zeros(features),
        torch.ones(features),
        torch.zeros(outputs),
        torch.ones(outputs),
    ]
    return Graph([body], shape, kind, *moments)  # type: ignore[arg-type]


def test_gradients_of_a_linear_network_are_its_weights() -> None:
    body = nn.Linear(3, 1)
    with torch.no_grad():
        body.weight.copy_(torch.tensor([[2.0, -1.0, 0.0]]))
    row, baseline = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 1.0])
    places, start, end = integrated_gradients(
        graph(body, (3,), 1, "values"), row, baseline, np.ones(1)
    )
    assert places == pytest.approx([2.0, -1.0, 0.0])
    assert start + places.sum() == pytest.approx(end)


def test_gradients_of_a_product_by_hand() -> None:
    class Product(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return (inputs[:, 0] * inputs[:, 1]).unsqueeze(1)

    # Along the line from 0, x0 and x1 grow alike, so each gets half of 3 * 5.
    places, _, _ = integrated_gradients(
        graph(Product(), (2,), 1, "values"), np.array([3.0, 5.0]), np.zeros(2), np.ones(1)
    )
    assert places == pytest.approx([7.5, 7.5])


def test_gradients_add_up_for_a_deep_network_of_classes() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3)
    )
    rng = np.random.default_rng(0)
    network = graph(body, (6,), 3, "probabilities")
    for take in np.eye(3):
        places, start, end = integrated_gradients(
            network, 3 * rng.normal(size=6), rng.normal(size=6), take
        )
        assert start + places.sum() == pytest.approx(end, abs=2e-3)


def test_grad_cam_shows_what_the_last_convolution_saw() -> None:
    class Bright(nn.Module):
        """Answers by the mean of what one filter passes on."""

        def __init__(self) -> None:
            super().__init__()
            self.seen = nn.Conv2d(1, 1, 1, bias=False)
            nn.init.ones_(self.seen.weight)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.seen(inputs.unsqueeze(1)).mean(dim=(1, 2, 3)).unsqueeze(1)

    image = np.zeros((4, 5))
    image[1, 3] = 2.0
    found = grad_cam(graph(Bright(), (4, 5), 1, "values"), image.reshape(-1), np.ones(1))
    assert found is not None
    assert found == pytest.approx(image / 2)
    assert grad_cam(graph(nn.Linear(2, 1), (2,), 1, "values"), np.ones(2), np.ones(1)) is None


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder = tmp_path_factory.mktemp("squares")
    workspace = Workspace.open(folder / "home")
    return read_images(paint(folder / "images", count=40, size=16), workspace=workspace)


def test_a_network_looks_at_the_square(squares: ImageSet, tmp_path: Path) -> None:
    model = train_classifier(
        squares, model_type="cnn", epochs=8, name="cnn", workspace=squares.workspace
    )
    assert {"model.onnx", "model.safetensors"} <= set(model.bundle.names)
    found = model.explain(squares[1])
    assert isinstance(found, Explanation)
    assert found.method == "integrated gradients"
    total = found.base + sum(item.contribution for item in found.contributions)
    assert total == pytest.approx(found.answer, abs=2e-3)
    assert found.answer == pytest.approx(max(found.prediction["probabilities"].values()), abs=1e-4)
    heat = found.heat
    assert heat is not None
    assert heat.shape == (16, 16)
    assert sum(heat.values) == pytest.approx(found.answer - found.base, abs=2e-3)
    # The squares' columns and rows hold most of what counts.
    counts = np.abs(heat.array())
    assert counts[4:12, 2:14].sum() > 0.7 * counts.sum()
    assert heat.activation is not None
    assert 0 <= min(heat.activation) <= max(heat.activation) == 1
    for path in found.save_plots(tmp_path):
        assert path.stat().st_size > 5000


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("random forest", {"n_estimators": 10}),
        ("logistic regression", {}),
        ("svm", {"components": 4}),
    ],
)
def test_other_families_show_the_same_square(
    name: str, options: dict[str, int], squares: ImageSet
) -> None:
    model = train_classifier(
        squares, model_type=name, name=name, workspace=squares.workspace, **options
    )
    found = model.explain(squares[1], samples=4 if name == "svm" else None)
    assert isinstance(found, Explanation)
    assert found.heat is not None
    total = found.base + sum(item.contribution for item in found.contributions)
    assert total == pytest.approx(found.answer, abs=1e-4)
    assert sum(found.heat.values) == pytest.approx(found.answer - found.base, abs=1e-4)
    counts = np.abs(found.heat.array())
    assert counts[4:12, 2:14].sum() > 0.5 * counts.sum()
    assert found.contributions[0].column.startswith("rows ")
    assert len(found.contributions) == 64


def test_a_series_is_shown_over_steps_and_sensors(workspace: Workspace) -> None:
    rng = np.random.default_rng(0)
    wave = rng.normal(size=200)
    frame = pl.DataFrame(
        {"t": range(200), "wave": wave, "noise": rng.normal(size=200), "ahead": np.roll(wave, 2)}
    )
    model = train_regressor(
        frame, target="ahead", time="t", window=5, model_type="temporal cnn", epochs=15,
        workspace=workspace, name="wave",
    )  # fmt: skip
    steps = frame.select("wave", "noise").rows(named=True)[100:105]
    found = model.explain(steps)
    assert isinstance(found, Explanation)
    assert found.heat is not None
    assert (found.heat.shape, found.heat.sensors) == ((5, 2), ("wave", "noise"))
    assert found.base + found["wave"] + found["noise"] == pytest.approx(found.answer, abs=5e-3)
    # What is answered was seen two steps ago.
    assert np.abs(found.heat.array()).argmax() == np.ravel_multi_index((2, 0), (5, 2))
    assert found.contributions[0].value is not None
