import numpy as np
import pytest

from lepton_ai.ml.export import export
from lepton_ai.ml.parity import TOLERANCE, compare, mixed_rows
from lepton_ai.ml.runtimes.onnx import OnnxRuntime

from .fitted import fitted


class Fixed:
    """A runtime that answers with what it was given."""

    def __init__(self, *rows: list[float]) -> None:
        self.answer = np.array(rows)

    def run(self, matrix: np.ndarray) -> np.ndarray:
        return self.answer[: len(matrix)]


ROWS = [np.zeros((2, 1))]


def test_equal_answers_pass() -> None:
    same = Fixed([0.3, 0.7], [0.9, 0.1])
    parity = compare(same, same, [*ROWS, np.zeros((1, 1))])
    assert parity.passed
    assert (parity.rows, parity.difference, parity.labels, parity.ties) == (3, 0, 0, 0)


def test_a_probability_off_by_more_than_the_tolerance_fails() -> None:
    trained = Fixed([0.3, 0.7], [0.9, 0.1])
    assert compare(trained, Fixed([0.30009, 0.69991], [0.9, 0.1]), ROWS).passed
    parity = compare(trained, Fixed([0.30011, 0.69989], [0.9, 0.1]), ROWS)
    assert not parity.passed
    assert parity.difference == pytest.approx(1.1e-4)
    assert "largest difference of a probability 0.00011" in str(parity)


def test_an_undefined_probability_fails() -> None:
    trained = Fixed([0.3, 0.7], [0.9, 0.1])
    assert not compare(trained, Fixed([np.nan, np.nan], [0.9, 0.1]), ROWS).passed


def test_a_tie_may_fall_either_way_and_nothing_else_may() -> None:
    near = TOLERANCE / 4
    parity = compare(
        Fixed([0.5 - near, 0.5 + near], [0.9, 0.1]),
        Fixed([0.5 + near, 0.5 - near], [0.9, 0.1]),
        ROWS,
    )
    assert parity.passed
    assert (parity.labels, parity.ties) == (0, 1)
    wide = compare(Fixed([0.4, 0.6], [0.9, 0.1]), Fixed([0.6, 0.4], [0.9, 0.1]), ROWS)
    assert (wide.labels, wide.passed) == (1, False)


class Trained:
    def __init__(self, estimator: object) -> None:
        self.run = estimator.predict_proba  # type: ignore[attr-defined]


@pytest.mark.parametrize(("weights", "passed"), [("uniform", True), ("distance", False)])
def test_the_gate_finds_the_wrong_export_of_distance_weights(weights: str, passed: bool) -> None:
    estimator, matrix = fitted("k-nearest", "two classes", weights=weights)
    exported = OnnxRuntime(export(estimator, matrix.shape[1]))
    assert compare(Trained(estimator), exported, [matrix]).passed is passed


def test_mixed_rows_hold_values_that_occur_in_new_combinations() -> None:
    matrix = np.random.default_rng(0).integers(0, 50, (40, 6)).astype(float)
    mixed = mixed_rows(matrix, 100, seed=3)
    assert mixed.shape == (100, 6)
    for column in range(6):
        assert set(mixed[:, column]) <= set(matrix[:, column])
    known = {tuple(row) for row in matrix}
    assert sum(tuple(row) not in known for row in mixed) > 80
    assert (mixed == mixed_rows(matrix, 100, seed=3)).all()
