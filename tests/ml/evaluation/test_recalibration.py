import warnings

import msgspec
import numpy as np
import pytest
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.classification import assess_classification
from lepton_ai.ml.evaluation.recalibrating import recalibrate
from lepton_ai.ml.evaluation.recalibration import Recalibration, log_odds


def too_sure(rows: int, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from probabilities, and the same probabilities made three times as sure."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes))
    odds = np.exp(logits)
    true = odds / odds.sum(axis=1, keepdims=True)
    labels = (rng.random(rows)[:, None] > true.cumsum(axis=1)).sum(axis=1)
    sure = np.exp(3 * logits)
    return np.minimum(labels, classes - 1).astype(str), sure / sure.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("method", ["isotonic", "platt", "temperature"])
@pytest.mark.parametrize("classes", [2, 4])
def test_what_was_too_sure_is_calibrated_on_new_rows(method: str, classes: int) -> None:
    names = tuple(map(str, range(classes)))
    labels, given = too_sure(6000, classes)
    fit = recalibrate(labels[:3000], given[:3000], names, method=method)
    after = fit.apply(given[3000:])
    assert after.sum(axis=1) == pytest.approx(1)
    before, behind = (
        assess_classification(labels[3000:].tolist(), part, names, resamples=2)
        for part in (given[3000:], after)
    )
    assert before.calibration_error > 0.1
    assert behind.calibration_error < 0.05
    assert behind.log_loss < before.log_loss
    again = msgspec.json.decode(msgspec.json.encode(fit), type=Recalibration)
    assert (again.apply(given) == fit.apply(given)).all()


def test_isotonic_is_scikit_learns() -> None:
    labels, given = too_sure(400)
    fit = recalibrate(labels, given, ("0", "1"), method="isotonic")
    expected = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
        given[:, 1], labels == "1"
    )
    fresh = np.linspace(0, 1, 57)
    found = fit.apply(np.stack([1 - fresh, fresh], axis=1))[:, 1]
    assert found == pytest.approx(expected.predict(fresh), abs=1e-6)


def test_platt_is_scikit_learns_on_the_log_odds() -> None:
    labels, given = too_sure(400)
    fit = recalibrate(labels, given, ("0", "1"), method="platt")
    expected = _SigmoidCalibration().fit(log_odds(given[:, 1]), (labels == "1").astype(int))
    assert fit.slopes[0] == pytest.approx(-expected.a_, abs=1e-3)
    assert fit.offsets[0] == pytest.approx(-expected.b_, abs=1e-3)
    # It was made three times as sure.
    assert fit.slopes[0] == pytest.approx(1 / 3, abs=0.08)


def test_temperature_finds_the_factor_and_keeps_the_labels() -> None:
    labels, given = too_sure(4000, 3)
    fit = recalibrate(labels, given, ("0", "1", "2"), method="temperature")
    assert fit.value == pytest.approx(3, rel=0.1)
    assert (fit.apply(given).argmax(axis=1) == given.argmax(axis=1)).all()


def test_separable_rows_stay_finite() -> None:
    labels = np.repeat(["0", "1"], 20)
    given = np.repeat([[1.0, 0.0], [0.0, 1.0]], 20, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in ("isotonic", "platt", "temperature"):
            after = recalibrate(labels, given, ("0", "1"), method=method).apply(given)
            assert np.isfinite(after).all()
            assert (after.argmax(axis=1) == given.argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("labels", "given", "options", "said"),
    [
        (["0"] * 9 + ["1"], np.full((10, 2), 0.5), {}, "5 rows of each class"),
        (["0", "1"] * 5, np.full((10, 3), 0.5), {}, "2 classes"),
        (["0", "1", "2"] * 5, np.full((15, 2), 0.5), {}, "none of another"),
        (["0", "1"] * 5, np.full((10, 2), 0.5), {"method": "beta"}, "choose one of"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    labels: list[str], given: np.ndarray, options: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        recalibrate(labels, given, ("0", "1"), **options)
