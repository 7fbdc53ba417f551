import msgspec
import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.thresholds import CostRule, Threshold, choose_threshold

POSITIVE = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 0], dtype=bool)
SCORE = np.array([0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_a_wanted_recall_by_hand() -> None:
    # Three of the four positive rows lie from 0.7 on; half way to the next score is 0.65.
    found = choose_threshold(POSITIVE, SCORE, recall=0.75, resamples=50)
    assert found.value == pytest.approx(0.65)
    assert found.figures == pytest.approx(
        {"recall": 0.75, "precision": 0.75, "specificity": 5 / 6, "alarms": 0.4}
    )
    assert choose_threshold(POSITIVE, SCORE, recall=1, resamples=5).value == pytest.approx(0.35)
    assert found.apply(np.array([0.65, 0.64])).tolist() == [True, False]
    assert found.aim == "recall of at least 0.75"


def test_a_wanted_precision_takes_the_most_rows_that_reach_it() -> None:
    found = choose_threshold(POSITIVE, SCORE, precision=0.75, resamples=50)
    assert found.value == pytest.approx(0.65)
    assert choose_threshold(POSITIVE, SCORE, precision=1, resamples=5).value == pytest.approx(0.85)
    flipped = choose_threshold(~POSITIVE, SCORE, precision=0.6, resamples=5)
    assert flipped.value == pytest.approx(0.1)
    with pytest.raises(InvalidInput, match=r"no threshold reaches a precision of 0.9; the highest"):
        choose_threshold(~POSITIVE, SCORE, precision=0.9, resamples=5)


@pytest.mark.parametrize("seed", range(5))
def test_the_least_cost_is_that_of_trying_every_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(60) < 0.3
    score = np.round(rng.random(60) + positive * 0.3, 1)
    costs = [[1.0, 5.0], [20.0, 2.0]]

    def mean_cost(value: float) -> float:
        called = score >= value
        return np.mean([costs[int(p)][int(c)] for p, c in zip(positive, called, strict=True)])

    found = choose_threshold(positive, score, costs=costs, resamples=20)
    best = min(mean_cost(value) for value in [*np.unique(score), 9])
    assert found.figures["cost"] == pytest.approx(best)
    assert mean_cost(found.value) == pytest.approx(best)


def test_calibrated_probabilities_have_the_threshold_of_theory() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(40_000)
    positive = rng.random(40_000) < probability
    # Acting pays from false / (false + missed) on (Elkan, 2001).
    found = choose_threshold(positive, probability, costs=[[0, 1], [4, 0]], resamples=20)
    assert found.value == pytest.approx(0.2, abs=0.04)
    low, high = found.interval
    assert low <= found.value <= high


def test_an_assured_recall_holds_for_the_lower_end() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(800) < 0.3
    score = rng.normal(size=800) + positive * 1.5
    plain = choose_threshold(positive, score, recall=0.9)
    sure = choose_threshold(positive, score, recall=0.9, assured=True)
    assert plain.intervals["recall"][0] < 0.9
    assert sure.intervals["recall"][0] >= 0.9
    assert sure.value < plain.value
    assert "95% confidence" in sure.aim
    # On new rows the plain one misses its aim about every other time, the sure one rarely.
    missed = {"plain": 0, "sure": 0}
    for _ in range(40):
        fresh = rng.normal(size=300) + 1.5
        missed["plain"] += np.mean(plain.apply(fresh)) < 0.88
        missed["sure"] += np.mean(sure.apply(fresh)) < 0.88
    assert missed["sure"] < missed["plain"]


def test_no_call_at_all_may_be_the_cheapest() -> None:
    found = choose_threshold([False, False, True], [0.9, 0.8, 0.1], costs=[[0, 9], [1, 0]])
    assert not found.apply(np.array([0.9, 0.8, 0.1])).any()
    assert found.figures["precision"] is None


def test_a_cost_rule_gives_the_class_of_the_least_expected_cost() -> None:
    rule = CostRule(((0, 1, 1), (1, 0, 1), (50, 50, 0)))
    given = rule.apply(np.array([[0.9, 0.09, 0.01], [0.9, 0.07, 0.03], [0.2, 0.79, 0.01]]))
    assert given.tolist() == [0, 2, 1]


def test_they_are_data() -> None:
    found = choose_threshold(POSITIVE, SCORE, recall=0.5, resamples=10)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Threshold) == found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "one of costs=, recall= and precision=; got none"),
        ({"recall": 0.5, "precision": 0.5}, "got"),
        ({"recall": 0}, "above 0"),
        ({"costs": [[0, 1]]}, "costs must be"),
        ({"costs": [[0, 0], [1, 0]]}, "must cost more"),
        ({"costs": [[0, 1], [1, 0]], "assured": True}, "latter two"),
    ],
)
def test_what_cannot_be_chosen_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        choose_threshold(POSITIVE, SCORE, **options)


def test_both_kinds_of_row_are_needed() -> None:
    with pytest.raises(InvalidInput, match="3 of 3 rows are positive"):
        choose_threshold([True] * 3, [0.1, 0.2, 0.3], recall=0.5)
    with pytest.raises(InvalidInput, match="finite probability"):
        choose_threshold([True, False], [0.1, np.nan], recall=0.5)
