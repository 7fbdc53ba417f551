import io
import json

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as reference

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.comparison import compare_classification, compare_regression
from lepton_ai.ml.evaluation.paired_tests import bootstrap_p, corrected_t, delong, mcnemar


def two_scores(rows: int = 200, seed: int = 0, gain: float = 1.0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    truth = rng.random(rows) < 0.4
    shared = rng.normal(size=rows)
    first = truth * 1.0 + shared + rng.normal(size=rows) * 0.5
    second = truth * gain + shared + rng.normal(size=rows) * 0.5
    return truth, first.round(1), second.round(1)


def as_probabilities(score: np.ndarray) -> np.ndarray:
    share = 1 / (1 + np.exp(-score))
    return np.stack([1 - share, share], axis=1)


def test_mcnemar_is_statsmodels() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(100) < 0.8, rng.random(100) < 0.7
    table = [
        [(first & second).sum(), (first & ~second).sum()],
        [(~first & second).sum(), (~first & ~second).sum()],
    ]
    found = mcnemar(first, second)
    assert found.p == pytest.approx(reference(table, exact=True).pvalue)
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert mcnemar(first, first).p == 1


@pytest.mark.parametrize("seed", range(3))
def test_delong_is_its_definition(seed: int) -> None:
    truth, *scores = two_scores(60, seed)
    areas, above, below = [], [], []
    for score in scores:
        beats = score[truth][:, None] - score[~truth]
        kernel = (beats > 0) + 0.5 * (beats == 0)
        areas.append(kernel.mean())
        above.append(kernel.mean(axis=1))
        below.append(kernel.mean(axis=0))
    assert areas == pytest.approx([roc_auc_score(truth, score) for score in scores])
    spread = np.cov(above) / truth.sum() + np.cov(below) / (~truth).sum()
    error = np.sqrt(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1])
    found = delong(truth, *scores)
    difference = areas[0] - areas[1]
    assert found.difference == pytest.approx(difference)
    assert found.p == pytest.approx(2 * norm.sf(abs(difference) / error))
    assert found.interval == pytest.approx(
        (difference - 1.959964 * error, difference + 1.959964 * error), abs=1e-6
    )


def test_delong_of_equal_scores_finds_nothing() -> None:
    truth, first, _ = two_scores()
    assert delong(truth, first, first).p == 1
    with pytest.raises(InvalidInput, match="two rows of each kind"):
        delong(np.array([True, False, False]), np.arange(3.0), np.arange(3.0))


def test_the_corrected_t_test_by_hand() -> None:
    first, second = [0.8, 0.9, 0.7, 0.8], [0.7, 0.8, 0.7, 0.6]
    found = corrected_t(first, second, test_share=0.25)
    differences = np.array([0.1, 0.1, 0.0, 0.2])
    error = np.sqrt(differences.var(ddof=1) * (1 / 4 + 1 / 3))
    assert found.difference == pytest.approx(0.1)
    half = 3.182446 * error
    assert found.interval == pytest.approx((0.1 - half, 0.1 + half), abs=1e-6)
    assert corrected_t([1, 1], [0, 0], test_share=0.5).p == 0
    assert corrected_t([1, 1], [1, 1], test_share=0.5).p == 1
    with pytest.raises(InvalidInput, match="two folds"):
        corrected_t([1], [0], test_share=0.5)


def test_no_difference_is_found_as_rarely_as_told() -> None:
    calls = {"bootstrap": 0, "delong": 0}
    for seed in range(60):
        truth, first, second = two_scores(100, seed)
        found = compare_classification(
            np.where(truth, "1", "0").tolist(),
            as_probabilities(first),
            as_probabilities(second),
            ("0", "1"),
            resamples=200,
            seed=seed,
        )
        calls["bootstrap"] += found["auc"].p < 0.05
        calls["delong"] += found.tests[1].p < 0.05
        assert found["auc"].p == pytest.approx(found.tests[1].p, abs=0.15)
    # Five in a hundred are expected; binomial chance stays below a sixth in 60 runs.
    assert max(calls.values()) <= 10


def test_a_better_model_is_told() -> None:
    truth, first, second = two_scores(800, 0, gain=0.2)
    found = compare_classification(
        np.where(truth, "yes", "no").tolist(),
        as_probabilities(first),
        as_probabilities(second),
        ("no", "yes"),
        names=("new", "old"),
    )
    area = found["auc"]
    assert (area.better, area.p < 0.01) == ("first", True)
    assert area.difference == pytest.approx(area.first - area.second)
    assert found["log_loss"].better == "first"  # the lower one
    assert [test.name for test in found.tests] == ["McNemar", "DeLong"]
    with pytest.raises(InvalidInput, match="no figure 'mae'"):
        found["mae"]


def test_the_labels_that_were_given_are_compared() -> None:
    truth, first, second = two_scores()
    labels = np.where(truth, "1", "0").tolist()
    found = compare_classification(
        labels,
        as_probabilities(first),
        as_probabilities(second),
        ("0", "1"),
        called=(labels, ["0"] * len(labels)),
        resamples=20,
    )
    assert (found["accuracy"].first, found["accuracy"].second) == (1, 1 - truth.mean())
    assert found.tests[0].difference == pytest.approx(truth.mean())


def test_predicted_numbers_are_compared_with_groups() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 20)
    truth = rng.normal(size=400)
    first = truth + np.repeat(rng.normal(size=20), 20)
    second = truth + 2 * np.repeat(rng.normal(size=20), 20)
    found = compare_regression(truth, first, second, groups=groups, resamples=500)
    assert found.groups == 20
    assert found["mae"].better == "first"
    assert found["bias"].better == ""  # neither sign of it is better
    alone = compare_regression(truth, first, second, resamples=500)
    low, high = found["mae"].interval
    assert high - low > 2 * np.diff(alone["mae"].interval)[0]


def test_the_p_value_of_resamples() -> None:
    assert bootstrap_p(np.ones(999)) == pytest.approx(0.002)
    assert bootstrap_p(np.r_[np.ones(500), -np.ones(500)]) == 1


def test_it_shows_itself(tmp_path) -> None:
    truth, first, second = two_scores()
    found = compare_classification(
        np.where(truth, "1", "0").tolist(),
        as_probabilities(first),
        as_probabilities(second),
        ("0", "1"),
        names=("<b>a", "[red]b"),
        resamples=20,
    )
    assert json.loads(json.dumps(found.to_dict()))["first"] == "<b>a"
    assert "<b>a against [red]b: 200 rows" in str(found)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(found)
    assert "[red]b" in console.export_text()
    page = found.report(tmp_path / "page.html").read_text()
    for shown in (page, found._repr_html_()):
        assert "&lt;b&gt;a" in shown
        assert "<b>a" not in shown
        assert "DeLong" in shown


@pytest.mark.parametrize(
    ("second", "said"),
    [([1.0], "must be"), ([[1.0, 1.0]] * 3, "B predicted"), ([1.0, np.nan, 2.0], "of B has 1")],
)
def test_what_cannot_be_compared_is_refused(second: object, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        compare_regression([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], second, names=("A", "B"))
