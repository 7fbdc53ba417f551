import numpy as np
import pytest

from lepton_ai.ml.selection.blending import bagged, greedy, losses, parts_of

ONES = np.ones(400)


def test_parts_are_the_true_classes_probability_or_the_error() -> None:
    answers = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert parts_of(answers, np.array([1, 1]), "classification").tolist() == [0.8, 0.4]
    assert parts_of(np.array([[3.0], [5.0]]), np.array([2.0, 7.0]), "regression").tolist() == [
        1,
        -2,
    ]
    assert losses(np.array([0.5, 0.0]), "classification") == pytest.approx(
        [np.log(2), -np.log(1e-4)]
    )
    assert losses(np.array([1.0, -2.0]), "regression").tolist() == [1, 4]


def test_two_models_of_opposite_errors_share_the_weight() -> None:
    error = np.random.default_rng(0).normal(size=400)
    parts = np.stack([error, -error, error + 5])
    assert greedy(parts, ONES, "regression", 8) == pytest.approx([0.5, 0.5, 0])


def test_the_best_model_alone_where_no_other_helps() -> None:
    parts = np.stack([np.full(400, 0.9), np.full(400, 0.8), np.full(400, 0.5)])
    assert greedy(parts, ONES, "classification", 8).tolist() == [1, 0, 0]


def test_weights_of_rows_decide() -> None:
    parts = np.stack([np.r_[np.full(200, 0.9), np.full(200, 0.2)],
                      np.r_[np.full(200, 0.2), np.full(200, 0.9)]])  # fmt: skip
    heavy = np.r_[np.full(200, 100.0), ONES[:200]]
    assert greedy(parts, heavy, "classification", 8)[0] > 0.9


def test_no_more_models_than_wanted_take_part() -> None:
    parts = np.random.default_rng(1).normal(size=(12, 400))
    for most in (1, 2, 5):
        blend = greedy(parts, ONES, "regression", most)
        assert (blend > 0).sum() == most
        assert blend.sum() == pytest.approx(1)
    # Of as many equals as there are, the blend comes near their mean, the best of all.
    mean = losses(parts.mean(axis=0), "regression").mean()
    blend = greedy(parts, ONES, "regression", 12)
    assert losses(blend @ parts, "regression").mean() == pytest.approx(mean, rel=0.05)


def test_resamples_make_weights_of_equals_more_equal() -> None:
    """Where models err alike and apart, the blend's loss is the sum of the squared weights."""
    found = []
    for seed in range(10):
        errors = np.random.default_rng(seed).normal(size=(12, 60))
        once = greedy(errors, np.ones(60), "regression", 12)
        often = bagged(errors, np.ones(60), "regression", 12, seed)
        assert often.sum() == pytest.approx(1)
        found.append(((once**2).sum(), (often**2).sum()))
    once, often = np.mean(found, axis=0)
    assert often < once
    few = bagged(errors, np.ones(60), "regression", 3, 0)
    assert (few > 0).sum() == 3
    assert (few == bagged(errors, np.ones(60), "regression", 3, 0)).all()
