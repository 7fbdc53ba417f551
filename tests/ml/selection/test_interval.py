"""Intervals of a regressor: their share holds, they are served, and they come again."""

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import make_friedman1

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.outcome import Values
from lepton_ai.ml.reproducing import reproduce
from lepton_ai.ml.training import train_classifier, train_regressor
from lepton_ai.ml.zoo.find import UnknownParameter
from lepton_ai.storage import Workspace


def rows(count: int, seed: int) -> pl.DataFrame:
    features, values = make_friedman1(count, noise=1.0, random_state=seed)
    columns = {f"x{place}": features[:, place] for place in range(5)}
    return pl.DataFrame(columns | {"y": values})


def test_intervals_hold_the_truth_as_often_as_told(workspace: Workspace) -> None:
    model = train_regressor(
        rows(400, 0), target="y", name="heat", model_type="ridge", interval=0.8,
        workspace=workspace,
    )  # fmt: skip
    outcome = model.description.outcome
    assert isinstance(outcome, Values)
    assert outcome.level == 0.8
    asked = rows(4000, 1)
    off = np.abs(model.predict(asked) - asked["y"].to_numpy())
    assert np.mean(off <= outcome.reach) == pytest.approx(0.8, abs=0.04)
    assert [field.name for field in model.signature.outputs] == ["value", "low", "high"]
    assert evaluate(model, asked).coverage == pytest.approx(np.mean(off <= outcome.reach))
    assert "80% of its intervals" in model.card()


def test_the_same_intervals_come_again(workspace: Workspace) -> None:
    model = train_regressor(
        rows(120, 0), target="y", name="heat", model_type="tree", interval=0.9, workspace=workspace
    )
    assert reproduce(model.ref, workspace=workspace).verdict == "equal"
    again = train_regressor(
        rows(120, 0), target="y", name="heat", model_type="tree", interval=0.9, workspace=workspace
    )
    assert again.ref == model.ref


@pytest.mark.slow
def test_compared_models_have_intervals_too(workspace: Workspace) -> None:
    model = train_regressor(
        rows(200, 0), target="y", name="heat", model_type="auto", trials=0, interval=0.9,
        workspace=workspace,
    )  # fmt: skip
    outcome = model.description.outcome
    assert isinstance(outcome, Values)
    assert outcome.reach is not None
    asked = rows(2000, 1)
    off = np.abs(model.predict(asked) - asked["y"].to_numpy())
    assert np.mean(off <= outcome.reach) == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize("level", [0.4, 1.0, "0.9", True])
def test_a_share_that_none_can_have_is_refused(level: object, workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match=r"from 0\.5 to below 1"):
        train_regressor(rows(50, 0), target="y", interval=level, workspace=workspace)  # type: ignore[arg-type]


def test_too_few_rows_for_the_share_are_refused(workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="rows"):
        train_regressor(
            rows(20, 0), target="y", model_type="ridge", interval=0.99, workspace=workspace
        )


def test_classes_have_no_intervals(workspace: Workspace) -> None:
    warm = pl.when(pl.col("y") > 14).then(pl.lit("warm")).otherwise(pl.lit("cold"))
    table = rows(50, 0).with_columns(y=warm)
    with pytest.raises(UnknownParameter, match="no parameter 'interval'"):
        train_classifier(table, target="y", interval=0.9, workspace=workspace)
