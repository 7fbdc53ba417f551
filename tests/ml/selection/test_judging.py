import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_absolute_error, r2_score, roc_auc_score

from lepton_ai.ml.selection.blending import losses, parts_of
from lepton_ai.ml.selection.judging import figures_of, judged

RNG = np.random.default_rng(0)
CODES = RNG.integers(2, size=300)
SCORES = np.clip(0.5 + 0.2 * (CODES - 0.5) + RNG.normal(0, 0.2, 300), 0.01, 0.99)
ANSWERS = np.stack([1 - SCORES, SCORES], axis=1)


def test_figures_are_those_of_scikit_learn() -> None:
    found = figures_of(ANSWERS, CODES, np.ones(300), ("no", "yes"))
    assert found["auc"] == pytest.approx(roc_auc_score(CODES, SCORES))
    assert found["log_loss"] == pytest.approx(log_loss(CODES, ANSWERS))
    values = RNG.normal(size=300)
    given = values + RNG.normal(size=300)
    found = figures_of(given[:, None], values, np.ones(300), ())
    assert found["mae"] == pytest.approx(mean_absolute_error(values, given))
    assert found["r2"] == pytest.approx(r2_score(values, given))


def test_a_figure_that_no_row_defines_is_absent() -> None:
    assert "auc" not in figures_of(ANSWERS, np.ones(300, dtype=int), np.ones(300), ("no", "yes"))


def test_the_best_of_many_chance_models_is_judged_as_chance() -> None:
    """Selected on the same rows it would look much better than it is."""
    shares = RNG.beta(2, 2, size=(200, 300))
    answers = np.stack([1 - shares, shares], axis=2)
    parts = np.stack([parts_of(each, CODES, "classification") for each in answers])

    def best(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        chosen = np.zeros(len(parts))
        chosen[(losses(parts[:, rows], "classification") @ weights).argmin()] = 1
        return chosen

    weights = np.ones(300)
    selected = int(best(np.arange(300), weights).argmax())
    flattered = roc_auc_score(CODES, shares[selected])
    figures, intervals = judged(answers, CODES, weights, np.arange(300), best, ("no", "yes"), 0)
    assert flattered > 0.55
    assert figures["auc"] < flattered - 0.03
    low, high = intervals["auc"]
    assert low < 0.5 < high


def test_rows_of_a_group_are_drawn_together() -> None:
    seen = []

    def note(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        seen.append(rows)
        return np.ones(1)

    units = np.arange(300) // 10
    judged(ANSWERS[None], CODES, np.ones(300), units, note, ("no", "yes"), 0)
    assert len(seen) == 50
    for rows in seen:
        assert np.bincount(units[rows], minlength=30).tolist() == [
            10 * (unit in units[rows]) for unit in range(30)
        ]
