import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.classification import ClassificationEvaluation, assess_classification
from lepton_ai.ml.evaluation.figures import Slices


def lending() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Eight rows of two groups: who pays back, who is said to, and the group."""
    paid = np.array([1, 1, 0, 0, 1, 1, 0, 0])
    said = np.array([1, 1, 1, 0, 1, 0, 0, 0])
    return [["no", "yes"][code] for code in paid], said, np.repeat(["a", "b"], 4)


def measured(**options: object) -> ClassificationEvaluation:
    truth, said, group = lending()
    options = {"slices": {"group": group}, "resamples": 200} | options
    return assess_classification(truth, np.eye(2)[said], ("no", "yes"), **options)


def difference(found: Slices, start: str) -> float:
    return next(item.value for item in found.differences if item.name.startswith(start))


def test_rates_and_fairness_by_hand() -> None:
    (found,) = measured().slices
    first, second = found.slices
    # Group a: three of four are called; both who paid, and one of two who did not.
    assert (first.value, first.rows) == ("a", 4)
    assert first.figures["selection_rate"] == 0.75
    assert (first.figures["recall"], first.figures["specificity"]) == (1, 0.5)
    # Group b: one is called, of the two who paid.
    assert second.figures["selection_rate"] == 0.25
    assert (second.figures["recall"], second.figures["specificity"]) == (0.5, 1)
    assert difference(found, "selection rate (demographic parity)") == 0.5
    assert difference(found, "recall (equal opportunity)") == 0.5
    assert difference(found, "equalised odds") == 0.5
    assert difference(found, "accuracy") == 0


def test_slices_are_those_of_the_rows_alone() -> None:
    rng = np.random.default_rng(0)
    truth, score = rng.integers(2, size=200), rng.random(200)
    probabilities = np.stack([1 - score, score], axis=1)
    labels, where = truth.astype(str), rng.choice(["x", "y"], 200)
    whole = assess_classification(
        labels.tolist(), probabilities, ("0", "1"), slices={"where": where}, resamples=20
    )
    for part in whole.slices[0].slices:
        rows = where == part.value
        alone = assess_classification(
            labels[rows].tolist(), probabilities[rows], ("0", "1"), resamples=20
        )
        kept = {name: part.figures[name] for name in alone.figures}
        assert kept == pytest.approx(alone.figures)
    assert set(whole.slices[0].slices[0].intervals) >= {"accuracy", "auc"}


def test_a_gap_that_is_there_has_an_interval_without_zero() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(["a", "b"], 500)
    right = rng.random(1000) < np.where(group == "a", 0.9, 0.7)
    truth = rng.integers(2, size=1000)
    probabilities = np.eye(2)[np.where(right, truth, 1 - truth)]
    found = assess_classification(
        truth.astype(str).tolist(), probabilities, ("0", "1"), slices={"group": group}
    ).slices[0]
    gap = next(item for item in found.differences if item.name == "accuracy")
    assert (gap.highest, gap.lowest, found.worst) == ("a", "b", "b")
    half = 1.96 * np.sqrt(0.9 * 0.1 / 500 + 0.7 * 0.3 / 500)
    assert gap.interval == pytest.approx((gap.value - half, gap.value + half), abs=0.01)


def test_numbers_are_cut_at_their_quartiles_and_gaps_are_a_slice() -> None:
    age = np.arange(8, dtype=float)
    (few,) = measured(slices={"age": age}).slices
    assert len(few.slices) == 8  # not more than ten values stay as they are
    truth, said, _ = lending()
    many = np.arange(40.0)
    many[-1] = np.nan
    found = assess_classification(
        truth * 5,
        np.tile(np.eye(2)[said], (5, 1)),
        ("no", "yes"),
        slices={"age": many},
        resamples=5,
    ).slices[0]
    assert {part.value: part.rows for part in found.slices} == {
        "0 to 9.5": 10,
        "9.5 to 19": 10,
        "19 to 28.5": 9,
        "28.5 to 38": 10,
        "missing": 1,
    }


def test_more_than_two_classes_have_no_fairness_of_two() -> None:
    found = assess_classification(
        ["a", "b", "c", "a"], np.eye(3)[[0, 1, 2, 1]], ("a", "b", "c"),
        slices={"side": ["l", "l", "r", "r"]}, resamples=5,
    ).slices[0]  # fmt: skip
    names = [item.name for item in found.differences]
    assert "recall" in names
    assert not any("odds" in name or "parity" in name for name in names)


@pytest.mark.parametrize(
    ("column", "said"),
    [(["a"], "one value for each of 8 rows"), ([*"abcdefg", None], None)],
)
def test_columns_that_cannot_be_slices(column: list[object], said: str | None) -> None:
    if said is None:
        assert len(measured(slices={"group": column}).slices[0].slices) == 8
        return
    with pytest.raises(InvalidInput, match=said):
        measured(slices={"group": column})


def test_too_many_values_are_refused() -> None:
    names = [str(n) for n in range(60)]
    with pytest.raises(InvalidInput, match="60 values, and at most 50"):
        assess_classification(
            ["a", "b"] * 30, np.eye(2)[[0, 1] * 30], ("a", "b"), slices={"name": names}
        )


def test_a_recall_of_nothing_is_undefined_not_worst() -> None:
    truth, said = ["no", "no", "yes", "no"], np.array([0, 0, 1, 0])
    found = assess_classification(
        truth, np.eye(2)[said], ("no", "yes"), slices={"side": ["a", "a", "b", "b"]}, resamples=50
    ).slices[0]
    first, second = found.slices
    assert (first.figures["recall"], first.figures["precision"]) == (None, None)
    assert (first.figures["prevalence"], second.figures["prevalence"]) == (0, 0.5)
    assert second.figures["recall"] == 1
    # One positive row that was found is next to no proof.
    assert second.intervals["recall"] == (pytest.approx(0.025), 1)
    assert first.intervals["accuracy"] == (pytest.approx(0.025 ** (1 / 2)), 1)
    assert not any(item.figure == "recall" for item in found.differences)
