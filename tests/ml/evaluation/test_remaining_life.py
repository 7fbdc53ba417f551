import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.remaining_life import assess_remaining_life, phm08_score


def test_the_score_is_that_of_phm08() -> None:
    assert phm08_score(50, 50) == 0
    assert phm08_score(50, 37) == pytest.approx(np.e - 1)  # 13 too early
    assert phm08_score(50, 60) == pytest.approx(np.e - 1)  # 10 too late
    assert phm08_score([10, 20], [30, 0]).sum() == pytest.approx(
        np.exp(20 / 10) - 1 + np.exp(20 / 13) - 1
    )


def lives() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four engines that each run from 5 left to 1, and one that stops at 3."""
    truth = np.array([5, 4, 3, 2, 1] * 4 + [5, 4, 3], dtype=float)
    units = np.repeat(["exact", "late", "never", "early", "running"], [5, 5, 5, 5, 3])
    said = {
        "exact": [5, 4, 3, 2, 1],  # alarm with 2 left
        "late": [9, 9, 9, 9, 1],  # with 1 left
        "never": [9, 9, 9, 9, 9],
        "early": [2, 9, 9, 9, 9],  # with 5 left, and none later
        "running": [5, 4, 3],  # not due, no alarm
    }
    return truth, np.concatenate([said[name] for name in dict.fromkeys(units)]) * 1.0, units


def test_alarms_by_hand() -> None:
    truth, values, units = lives()
    found = assess_remaining_life(truth, values, units=units, limit=2, resamples=50)
    assert (found.due, found.alarms) == (4, 3)
    assert found.warned == 0.75
    assert found.median_lead == 2
    assert found.premature == pytest.approx(1 / 3)  # beyond twice the limit
    useful = assess_remaining_life(truth, values, units=units, limit=2, needed=2, resamples=2)
    assert useful.warned == 0.5
    # A single low answer is no alarm where two in a row are asked for.
    firm = assess_remaining_life(truth, values, units=units, limit=2, confirm=2, resamples=2)
    assert (firm.alarms, firm.warned, firm.median_lead) == (1, 0.25, 1)
    assert sum(firm.leads.counts["alarms"]) == 1


def test_errors_of_all_rows_and_of_last_rows() -> None:
    truth, values, units = lives()
    found = assess_remaining_life(truth, values, units=units, limit=2, resamples=2)
    errors = values - truth
    assert found.rmse == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert (found.mae, found.bias) == pytest.approx((np.abs(errors).mean(), errors.mean()))
    last = errors[[4, 9, 14, 19, 22]]
    assert found.last_rmse == pytest.approx(np.sqrt(np.mean(last**2)))
    assert found.score == pytest.approx(2 * (np.exp(8 / 10) - 1))
    assert found.groups == 5


def test_rows_of_a_unit_may_lie_apart() -> None:
    truth, values, units = lives()
    order = np.argsort(np.tile(np.arange(5), 5)[: len(truth)], kind="stable")
    mixed = assess_remaining_life(
        truth[order], values[order], units=units[order], limit=2, resamples=2
    )
    plain = assess_remaining_life(truth, values, units=units, limit=2, resamples=2)
    assert mixed.figures == pytest.approx(plain.figures)


def test_whole_units_are_resampled() -> None:
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(40), 50)
    truth = np.tile(np.arange(50)[::-1], 40).astype(float)
    values = truth + np.repeat(rng.normal(0, 5, 40), 50)
    found = assess_remaining_life(truth, values, units=units, limit=10)
    low, high = found.intervals["bias"]
    half = 1.96 * 5 / np.sqrt(40)
    assert high - low == pytest.approx(2 * half, rel=0.25)
    alone = assess_remaining_life(truth, values, limit=10)
    assert alone.groups is None
    narrow = alone.intervals["bias"]
    assert narrow[1] - narrow[0] < 0.3 * (high - low)


def test_every_unit_warned_of_is_no_proof() -> None:
    truth = np.tile([3.0, 2.0, 1.0], 8)
    units = np.repeat(np.arange(8), 3)
    found = assess_remaining_life(truth, truth, units=units, limit=2, resamples=20)
    assert (found.warned, found.premature) == (1, 0)
    assert found.intervals["warned"] == (pytest.approx(0.025 ** (1 / 8)), 1)
    assert found.intervals["premature"] == (0, pytest.approx(1 - 0.025 ** (1 / 8)))


def test_no_alarm_at_all_leaves_lead_times_open() -> None:
    found = assess_remaining_life([9.0, 8.0], [9.0, 9.0], units=["a", "a"], limit=2, resamples=5)
    assert (found.warned, found.median_lead, found.premature) == (None, None, None)
    found.plots()["lead times"]()
    with pytest.raises(InvalidInput, match="at least 1"):
        assess_remaining_life([1.0], [1.0], limit=1, confirm=0)
