"""Bad input to training and prediction: each kind has an error or a warning of its own."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.doubts import DoubtfulData
from lepton_ai.ml.model import Model
from lepton_ai.ml.training import train_classifier, train_regressor
from lepton_ai.storage import Workspace

ROWS = 60


@pytest.fixture
def people() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "age": rng.normal(50, 9, ROWS),
            "job": rng.choice(["nurse", "driver"], ROWS),
            "risk": rng.choice(["high", "low"], ROWS),
        }
    )


def trained(frame: Any, workspace: Workspace, **options: Any) -> Model:
    chosen = {"target": "risk", "model_type": "dt", "name": "m"} | options
    return train_classifier(frame, workspace=workspace, **chosen)


def test_a_wrong_target_lists_the_columns(people: pl.DataFrame, workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match=r"'rsk' is no column.*age, job, risk"):
        trained(people, workspace, target="rsk")


def test_one_class(people: pl.DataFrame, workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match=r"all 60 rows are labelled 'low'; .* two classes"):
        trained(people.with_columns(risk=pl.lit("low")), workspace)


def test_too_few_rows(people: pl.DataFrame, workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="all 1 rows are labelled"):
        trained(people.head(1), workspace)
    with pytest.raises(InvalidInput, match="there are no rows"):
        trained(people.head(0), workspace)


def test_infinity(people: pl.DataFrame, workspace: Workspace) -> None:
    values = pl.Series([1.0] * 5 + [np.inf] + [2.0] * (ROWS - 6))
    with pytest.raises(InvalidInput, match="'pulse' holds an infinite number in row 5"):
        trained(people.with_columns(pulse=values), workspace)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pl.lit(None, dtype=pl.Float64), "has no value in any row"),
        (pl.lit(1.5), "has the value 1.5 in every row"),
        (pl.lit("same"), "has the value same in every row"),
        (pl.col("risk").str.to_uppercase(), "says the same as the target, in other words"),
        ((pl.col("risk") == "low").cast(pl.Int64), "says the same as the target"),
        (pl.Series(range(1000, 1000 + ROWS)), "the rows are sorted by class"),
    ],
)
def test_a_doubtful_column_is_warned_of(
    column: Any, said: str, people: pl.DataFrame, workspace: Workspace
) -> None:
    frame = people.sort("risk").with_columns(extra=column)
    with pytest.warns(DoubtfulData, match=f"'extra' .*{said}.*'extra': 'skip'"):
        model = trained(frame, workspace)
    assert any(said in note for note in model.description.notes)


def test_a_copy_of_a_value_is_warned_of(people: pl.DataFrame, workspace: Workspace) -> None:
    frame = people.drop("risk").with_columns(months=pl.col("age") * 12)
    with pytest.warns(DoubtfulData, match="'months' says the same as the target"):
        train_regressor(frame, target="age", model_type="dt", workspace=workspace)


def test_columns_that_tell_the_target_are_one_doubt(
    people: pl.DataFrame, workspace: Workspace
) -> None:
    mostly = (pl.col("risk") == "high") & (pl.int_range(pl.len()) % 9 > 0)
    frame = people.with_columns(told=mostly.cast(pl.Int64), also=mostly.cast(pl.Float64) * 2)
    (note,) = trained(frame, workspace).description.notes
    assert note.startswith("may give the target away: 'also', 'told'; `lepton analyse m:1 ")
    assert """--set kinds='{"also": "skip", "told": "skip"}'""" in note
    # What is left out is not told of.
    left = trained(frame, workspace, kinds={"told": "skip", "also": "skip"})
    assert left.description.notes == ()
    assert trained(people, workspace).description.notes == ()


def test_an_identifier_of_text_teaches_nothing(people: pl.DataFrame, workspace: Workspace) -> None:
    model = trained(people.with_columns(id=pl.Series([f"p{n}" for n in range(ROWS)])), workspace)
    skipped = model.predictor.preparation.encoding.skipped
    assert [each.column for each in skipped] == ["id"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([{"age": 3.0}], "missing: 'job'"),
        ([{"age": 3.0, "job": "nurse", "size": 1}], "unknown: 'size'"),
        ([{"age": "old", "job": "nurse"}], "'age' expects a number; got 'old'"),
        ([{"age": np.inf, "job": "nurse"}], "'age' holds an infinite number in row 0"),
    ],
)
def test_columns_that_do_not_fit_at_prediction(
    asked: list[dict[str, Any]], said: str, people: pl.DataFrame, workspace: Workspace
) -> None:
    model = trained(people, workspace)
    for form in (asked, pl.DataFrame(asked)):
        with pytest.raises(InvalidInput, match=said):
            model.predict(form)


def test_the_target_among_the_features_is_not_read(
    people: pl.DataFrame, workspace: Workspace
) -> None:
    model = trained(people, workspace)
    turned = people.with_columns(risk=pl.lit("neither"))
    assert (model.answers(turned) == model.answers(people.drop("risk"))).all()
    with pytest.raises(InvalidInput, match="unknown: 'risk'"):
        model.predictor.features([{"age": 3.0, "job": "nurse", "risk": "high"}])
