"""What every network does, shown on small ones."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks import network
from lepton_ai.ml.networks.residual import ResidualClassifier
from lepton_ai.ml.networks.tabular import PerceptronClassifier, PerceptronRegressor
from lepton_ai.ml.networks.weights import dumps

QUICK: dict[str, Any] = {"random_state": 0, "threads": 1, "width": 16}


@pytest.fixture(scope="module")
def cancer() -> tuple[np.ndarray, np.ndarray]:
    return load_breast_cancer(return_X_y=True)


def weights_of(estimator: Any) -> bytes:
    return b"".join(value.numpy().tobytes() for value in estimator.graph_.state_dict().values())


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"members": 2, "epochs": 2},
        {"averaging": 0.9, "mixup": 0.4, "label_smoothing": 0.1},
        {"schedule": "cosine", "patience": None, "clip_norm": None, "class_weight": "balanced"},
    ],
)
def test_one_seed_gives_the_same_bytes(chosen: dict[str, Any], cancer: Any) -> None:
    features, labels = cancer
    estimator = PerceptronClassifier(**QUICK | {"epochs": 4} | chosen)
    torch.manual_seed(1)
    first = clone(estimator).fit(features, labels)
    torch.manual_seed(2)
    second = clone(estimator).fit(features, labels)
    assert weights_of(first) == weights_of(second)
    other = clone(estimator).set_params(random_state=1).fit(features, labels)
    assert weights_of(first) != weights_of(other)


def test_augmented_images_are_the_same_for_a_seed() -> None:
    features, labels = load_digits(return_X_y=True)
    estimator = ResidualClassifier(shape=(8, 8), epochs=2, **QUICK)
    first = clone(estimator).fit(features[:300], labels[:300])
    assert weights_of(first) == weights_of(clone(estimator).fit(features[:300], labels[:300]))
    plain = clone(estimator).set_params(augment=None).fit(features[:300], labels[:300])
    assert weights_of(first) != weights_of(plain)


def test_a_fit_leaves_the_callers_settings_and_chance_alone(cancer: Any) -> None:
    features, labels = cancer
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    PerceptronClassifier(**QUICK, epochs=1).fit(features, labels)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_the_best_weights_come_back_when_the_held_out_loss_rises(
    cancer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learning noise by heart makes the held-out part worse from early on."""
    features, _ = cancer
    labels = np.random.default_rng(0).integers(0, 2, len(features))
    learned: list[np.ndarray] = []
    held_out = network.hold_out

    def watched(*arguments: Any, **named: Any) -> Any:
        learned.extend(held_out(*arguments, **named))
        return tuple(learned)

    monkeypatch.setattr(network, "hold_out", watched)
    estimator = PerceptronClassifier(
        **QUICK, epochs=60, validation=0.3, patience=4, schedule="constant", learning_rate=1e-2
    ).fit(features, labels)
    losses = [figures["held_out_loss"] for figures in estimator.history_[0]]
    assert len(losses) < 60
    assert int(np.argmin(losses)) == len(losses) - 1 - 5
    held = learned[1]
    found = log_loss(labels[held], estimator.predict_proba(features[held]))
    assert found == pytest.approx(min(losses), abs=1e-4)


def test_groups_and_times_reach_the_held_out_part(
    cancer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = cancer
    parts: list[Any] = []
    held_out = network.hold_out
    monkeypatch.setattr(
        network, "hold_out", lambda *a, **k: parts.append(held_out(*a, **k)) or parts[-1]
    )
    estimator = PerceptronClassifier(**QUICK, epochs=1, validation=0.25)
    groups = np.arange(len(labels)) % 40
    estimator.fit(features, labels, groups=groups.tolist())
    learned, held = parts[0]
    assert len(held) > 100
    assert not set(groups[learned]) & set(groups[held])
    times = np.random.default_rng(0).permutation(len(labels))
    estimator.fit(features, labels, times=times)
    learned, held = parts[1]
    assert times[held].min() > times[learned].max()


def test_what_is_held_out_sets_no_scale(cancer: Any) -> None:
    features, labels = cancer
    times = np.arange(len(labels))
    late = features.copy()
    late[-len(labels) // 5 :] *= 1000
    scales = [
        PerceptronClassifier(**QUICK, epochs=1, validation=0.2)
        .fit(part, labels, times=times)
        .graph_.scale
        for part in (features, late)
    ]
    torch.testing.assert_close(*scales)


def test_class_weights_move_the_answers_to_the_rare_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [900, 100])
    features = rng.normal(size=(1000, 2)) + labels[:, None]
    shares = {}
    for weight in (None, "balanced", {0: 1.0, 1: 100.0}):
        estimator = PerceptronClassifier(**QUICK, epochs=5, class_weight=weight)
        shares[str(weight)] = (estimator.fit(features, labels).predict(features) == 1).mean()
    assert shares["None"] < 0.1 < shares["balanced"] < 0.5 < shares["{0: 1.0, 1: 100.0}"]


def test_rows_of_weight_zero_teach_nothing(cancer: Any) -> None:
    features, labels = cancer
    wrong = labels.copy()
    wrong[::2] = 1 - wrong[::2]
    weights = np.arange(len(labels)) % 2
    estimator = PerceptronClassifier(**QUICK, epochs=20, learning_rate=1e-2)
    taught = clone(estimator).fit(features, wrong, sample_weight=weights)
    assert taught.score(features, labels) > 0.93
    # The only row with a weight is held out.
    last = np.arange(len(labels)) == len(labels) - 1
    with pytest.raises(InvalidInput, match="no row to learn from"):
        clone(estimator).fit(features, labels, sample_weight=last, times=np.arange(len(labels)))


def test_labels_of_text_come_back() -> None:
    features, codes = load_iris(return_X_y=True)
    labels = np.array(["setosa", "versicolor", "virginica"])[codes]
    estimator = PerceptronClassifier(**QUICK, epochs=20, learning_rate=1e-2).fit(features, labels)
    assert estimator.score(features, labels) > 0.95
    assert estimator.predict_proba(features).sum(axis=1) == pytest.approx(np.ones(150))


def test_several_outputs_keep_their_units() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 4))
    values = np.column_stack([features[:, 0] * 1e4 + 5e4, features[:, 1] * 1e-3])
    estimator = PerceptronRegressor(**QUICK, epochs=30, learning_rate=1e-2).fit(features, values)
    assert estimator.predict(features).shape == (500, 2)
    assert estimator.score(features, values) > 0.95
    for loss in ("absolute", "huber"):
        estimator = PerceptronRegressor(**QUICK, epochs=20, learning_rate=1e-2, loss=loss).fit(
            features, values[:, 0]
        )
        assert estimator.predict(features).shape == (500,)
        assert estimator.score(features, values[:, 0]) > 0.9


def test_an_ensemble_answers_with_the_mean_of_its_members(cancer: Any) -> None:
    features, labels = cancer
    estimator = PerceptronClassifier(**QUICK, epochs=2, members=3).fit(features, labels)
    assert len(estimator.history_) == 3
    graph = estimator.graph_
    with torch.inference_mode():
        inputs = graph.standardise(torch.tensor(features, dtype=torch.float32))
        answers = [member(inputs).softmax(dim=1).numpy() for member in graph.members]
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    assert estimator.predict_proba(features) == pytest.approx(np.mean(answers, axis=0), abs=1e-6)


def test_learning_on_begins_with_the_weights_before(cancer: Any) -> None:
    features, labels = cancer
    learned = PerceptronClassifier(**QUICK, epochs=20).fit(features[:300], labels[:300])
    quick: dict[str, Any] = {"epochs": 1, "learning_rate": 1e-4}
    afresh = PerceptronClassifier(**QUICK, **quick).fit(features[300:], labels[300:])
    learned.set_params(warm_start=True, **quick).fit(features[300:], labels[300:])
    assert learned.score(features, labels) > 0.94 > afresh.score(features, labels)
    # Another set of classes: the head begins afresh, the rest stays.
    named = np.array(["small", "middle", "large"])[np.digitize(features[:, 0], [12, 15])]
    learned.fit(features, named)
    assert learned.predict_proba(features).shape == (569, 3)
    with pytest.raises(InvalidInput, match="goes on with 30 features a row; X has 3"):
        learned.fit(features[:, :3], labels)


def test_large_offsets_and_constant_columns_do_no_harm(cancer: Any) -> None:
    features, labels = cancer
    shifted = np.column_stack([features * 1e-6, np.full(len(labels), 7.0), features * 1e6])
    estimator = PerceptronClassifier(**QUICK, epochs=10).fit(shifted, labels)
    assert estimator.score(shifted, labels) > 0.95
    assert np.isfinite(estimator.predict_proba(shifted + 100)).all()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"shape": (4, 5)}, r"shape \(4, 5\) does not fold rows of 30 features"),
        ({"epochs": 0}, "epochs must be a whole number from 1; got 0"),
        ({"members": 1.5}, r"members must be a whole number from 1; got 1\.5"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"mixup": -1}, "mixup must be 0 or more"),
        ({"averaging": 1.0}, "averaging must be from 0 to below 1"),
        ({"schedule": "stairs"}, "known: one-cycle, cosine, constant"),
        ({"validation": 1.0}, "validation must be a share"),
        ({"dropout": 1.0}, "dropout from 0 to below 1"),
        ({"checkpoint": "somewhere", "random_state": None}, "integer random_state"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_by_fit(
    parameters: dict[str, Any], said: str, cancer: Any
) -> None:
    with pytest.raises(InvalidInput, match=said):
        PerceptronClassifier(**QUICK | parameters).fit(*cancer)


def test_bad_rows_are_refused(cancer: Any) -> None:
    features, labels = cancer
    estimator = PerceptronClassifier(**QUICK, epochs=1)
    with pytest.raises(InvalidInput, match="one class"):
        estimator.fit(features, np.zeros(len(labels)))
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.where(features > 20, np.nan, features), labels)
    with pytest.raises(ValueError, match="infinity or a value too large"):
        estimator.fit(features * 1e37, labels)
    with pytest.raises(InvalidInput, match="groups must have one value a row"):
        estimator.fit(features, labels, groups=[1, 2])
    with pytest.raises(InvalidInput, match="loss 'cubed' is unknown"):
        PerceptronRegressor(**QUICK, loss="cubed").fit(features, labels)
    with pytest.raises(NotFittedError):
        PerceptronClassifier().to_onnx()
    estimator.fit(features, labels)
    with pytest.raises(ValueError, match="expecting 30 features"):
        estimator.predict(features[:, :7])


def test_parameters_are_plain_data(cancer: Any) -> None:
    """What a model card and a lineage record keep of a network."""
    parameters = PerceptronClassifier(**QUICK).get_params()
    assert json.loads(json.dumps(parameters)) == parameters
    assert dumps(PerceptronClassifier(**QUICK, epochs=1).fit(*cancer))
