from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.residual import ResidualClassifier, ResidualRegressor

QUICK: dict[str, Any] = {"random_state": 0, "threads": 1}


def test_handwritten_digits_are_read() -> None:
    features, labels = load_digits(return_X_y=True)
    train, test, known, asked = train_test_split(features, labels, random_state=0)
    estimator = ResidualClassifier(shape=(8, 8), epochs=8, **QUICK).fit(train, known)
    assert estimator.score(test, asked) > 0.97


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_a_ball_is_found_in_a_volume(norm: str) -> None:
    rng = np.random.default_rng(0)
    volumes = rng.normal(size=(160, 12, 10, 12)).astype(np.float32)
    labels = np.arange(160) % 2
    distance = sum((axis - 5.0) ** 2 for axis in np.ogrid[:12, :10, :12])
    volumes[labels == 1] += 0.8 * (distance < 9)
    rows = volumes.reshape(160, -1)
    estimator = ResidualClassifier(
        shape=(12, 10, 12), width=8, epochs=6, batch_size=16, norm=norm, **QUICK
    ).fit(rows[:120], labels[:120])
    assert roc_auc_score(labels[120:], estimator.predict_proba(rows[120:])[:, 1]) > 0.95


def test_colours_tell_classes_apart() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(120, 8, 8, 3)).astype(np.float32)
    labels = np.arange(120) % 3
    images[np.arange(120), :, :, labels] += 0.7
    rows = images.reshape(120, -1)
    estimator = ResidualClassifier(shape=(8, 8, 3), width=8, epochs=6, **QUICK)
    estimator.fit(rows[:90], labels[:90])
    assert estimator.score(rows[90:], labels[90:]) > 0.9
    # Each colour has its own scale, places of one colour share theirs.
    assert len(torch.unique(estimator.graph_.mean)) == 3


def test_the_size_of_a_blob_is_measured() -> None:
    rng = np.random.default_rng(0)
    radius = rng.uniform(1, 5, size=240)
    distance = sum((axis - 7.5) ** 2 for axis in np.ogrid[:16, :16])
    images = (distance[None] < radius[:, None, None] ** 2) + rng.normal(size=(240, 16, 16)) * 0.3
    rows = images.reshape(240, -1).astype(np.float32)
    estimator = ResidualRegressor(shape=(16, 16), width=8, epochs=15, batch_size=32, **QUICK)
    estimator.fit(rows[:180], radius[:180])
    assert estimator.score(rows[180:], radius[180:]) > 0.8


def test_exposure_does_not_matter_where_each_image_is_standardised() -> None:
    features, labels = load_digits(return_X_y=True)
    features, labels = features[:200], labels[:200]
    estimator = ResidualClassifier(
        shape=(8, 8), width=8, epochs=2, per_image=True, augment=None, **QUICK
    ).fit(features, labels)
    exposed = features * 3 + 40
    assert estimator.predict_proba(exposed) == pytest.approx(
        estimator.predict_proba(features), abs=1e-4
    )


def test_pooled_pixels_hide_what_is_finer() -> None:
    features, labels = load_digits(return_X_y=True)
    features, labels = features[:200], labels[:200]
    estimator = ResidualClassifier(
        shape=(8, 8), width=8, epochs=1, pool=2, augment=None, **QUICK
    ).fit(features, labels)
    checkers = np.indices((8, 8)).sum(axis=0) % 2 * 2.0 - 1.0
    finer = features + 5 * checkers.ravel()
    assert estimator.predict_proba(finer) == pytest.approx(
        estimator.predict_proba(features), abs=1e-4
    )


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((8, 8), [16, 32]),
        ((28, 28), [16, 32, 64]),
        ((24, 24, 24), [16, 32, 64]),
        ((256, 256), [16, 32, 64, 128, 128]),
        ((3, 90), [16]),
        ((1,), [16]),
    ],
)
def test_depth_and_width_follow_from_the_image(shape: tuple[int, ...], channels: list[int]) -> None:
    with torch.device("meta"):
        body = ResidualClassifier(shape=shape)._body(shape, 2)
        assert body(torch.empty(2, *shape)).shape == (2, 2)
    assert [block.second.out_channels for block in body.layers] == channels


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"norm": "layer"}, "known: batch, group"),
        ({"shape": (2, 2, 2, 2, 4)}, "one to three dimensions"),
        ({"width": 0}, "width and blocks must be 1 or more"),
        ({"pool": 9}, "pool must be from 1 to the shortest side of the images, 8; got 9"),
        ({"augment": "everything"}, "augment must be 'auto'"),
    ],
)
def test_what_no_image_network_can_use_is_refused(parameters: dict[str, Any], said: str) -> None:
    features, labels = load_digits(return_X_y=True)
    with pytest.raises(InvalidInput, match=said):
        ResidualClassifier(**{"shape": (8, 8)} | parameters).fit(features, labels)
