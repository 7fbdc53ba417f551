"""Recipes in front of models: learned from training rows alone, the same in serving."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import (
    Aggregate,
    Deduplicate,
    Derive,
    DropColumns,
    Filter,
    HashEncode,
    Impute,
    Join,
    Lag,
    OneHot,
    Outliers,
    ParseDates,
    Recipe,
    Scale,
    Select,
    TargetEncode,
    Tidy,
    propose_recipe,
    save_recipe,
)
from lepton_ai.data.split import split_data
from lepton_ai.data.table import Table
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.preparation import Preparation
from lepton_ai.ml.training import train_classifier
from lepton_ai.storage import Workspace


def visits(rows: int = 300) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    weight = rng.normal(80, 15, rows)
    height = rng.normal(170, 10, rows)
    return pl.DataFrame(
        {
            "visit": [f"V{n:04d}" for n in range(rows)],
            "weight": weight,
            "height": height,
            "ward": rng.choice([" A", "a", "B ", "c"], rows),
            "day": [f"2026-{1 + n % 12:02d}-{1 + n % 28:02d}" for n in range(rows)],
            "smoker": [[True, False, None][n] for n in rng.integers(0, 3, rows)],
            "outcome": np.where(
                weight / (height / 100) ** 2 + rng.normal(0, 1, rows) > 28, "high", "low"
            ),
        }
    ).with_columns(
        weight=pl.when(pl.int_range(rows) % 11 > 0).then("weight"),
    )


STEPS = [
    Deduplicate(),
    Tidy(case="lower"),
    ParseDates(columns=("day",)),
    Impute(columns=("weight",), method="mean", flag=True),
    Outliers(columns=("height",), method="quantile", tail=0.02),
    Derive(columns={"bmi": "weight / (height / 100) ** 2"}),
    Filter(where="bmi < 45"),
    TargetEncode(columns=("ward",), target="outcome", positive="high"),
    Scale(columns=("bmi",)),
]


@pytest.fixture
def table(workspace: Workspace) -> Table:
    return read_table(visits(), name="visits")


def test_statistics_are_those_of_the_training_rows_alone(table: Table) -> None:
    train, test = split_data(table, test_size=0.3, target="outcome")
    model = train_classifier(train, target="outcome", recipe=Recipe(STEPS))
    front = model.predictor.preparation.front
    assert front is not None
    alone = Recipe(STEPS[:8]).fit(train.to_polars())
    seen = train.to_polars()
    kept = dict(zip([type(s).__name__ for s in front.recipe], front.recipe, strict=True))
    assert kept["Impute"].values["weight"] == pytest.approx(seen["weight"].mean())
    assert kept["Impute"].values["weight"] != pytest.approx(table.to_polars()["weight"].mean())
    low, high = kept["Outliers"].bounds["height"]
    assert low == pytest.approx(seen["height"].quantile(0.02, "linear"))
    assert high == pytest.approx(seen["height"].quantile(0.98, "linear"))
    for ward, mean in alone.steps[7].means["ward"].items():
        assert kept["TargetEncode"].means["ward"][ward] == pytest.approx(mean)
    assert model.description.trained_on.rows == front.recipe.counts[-1]
    # Asking about other rows changes nothing.
    before = model.predictor.preparation.to_json()
    evaluation = evaluate(model, test)
    assert evaluation.rows == len(test)
    assert evaluation.auc is not None
    assert evaluation.auc > 0.9
    assert model.predictor.preparation.to_json() == before


def test_records_are_served_as_tables_are(table: Table) -> None:
    model = train_classifier(table, target="outcome", recipe=Recipe(STEPS))
    frame = table.to_polars().drop("outcome")
    records = frame.to_dicts()
    whole = model.features(frame)
    np.testing.assert_array_equal(model.predictor.features(records), whole)
    for place in (0, 1, 11, 299):
        np.testing.assert_array_equal(model.predictor.features([records[place]])[0], whole[place])
    np.testing.assert_array_equal(model.features(table), whole)
    np.testing.assert_array_equal(model.features(frame.to_pandas()), whole)
    tensors = {name: np.array(frame[name].to_list(), dtype=object) for name in frame.columns}
    np.testing.assert_array_equal(model.predictor.features_from_tensors(tensors), whole)
    # The rows that the recipe leaves out of training get an answer too.
    heavy = {**records[0], "weight": 400.0, "height": 120.0}
    assert model.predict([heavy]).tolist() == ["high"]
    # What the model does not read may lack, and what it reads may be unknown, but not lack.
    lacking = {name: value for name, value in records[0].items() if name != "visit"}
    np.testing.assert_array_equal(model.predictor.features([lacking])[0], whole[0])
    assert model.predict([dict.fromkeys(frame.columns)]).shape == (1,)
    for wrong, words in (
        ({"weight": 3}, "missing:"),
        ({**records[0], "bmi": 3}, "unknown:"),
        ({**records[0], "weight": "heavy"}, "expects a number"),
        ({**records[0], "smoker": "perhaps"}, "true or false"),
        ("record", "a record is a mapping"),
    ):
        with pytest.raises(InvalidInput, match=words):
            model.predictor.features([wrong])  # type: ignore[list-item]
    assert [field.name for field in model.signature.inputs] == frame.columns
    assert "recipe: `bmi = weight" in model.card()


def test_a_plan_made_once_answers_as_one_made_anew(table: Table) -> None:
    model = train_classifier(table, target="outcome", recipe=Recipe(STEPS))
    front = model.predictor.preparation.front
    assert front is not None
    frame = table.to_polars().drop("outcome")
    typed = front.frame(front._columns(frame)).lazy()
    anew = front.recipe.apply(typed, serving=True).collect(engine="in-memory")
    for size in (1, 7, 300, 2):
        part = front.apply(frame.head(size))
        for name, column in part.items():
            np.testing.assert_array_equal(
                column, np.asarray(anew[name].head(size).to_numpy(), column.dtype)
                if column.dtype.kind != "M"
                else anew[name].head(size).cast(pl.Datetime("us")).to_numpy(),
            )  # fmt: skip


def test_training_again_gives_the_same_model(table: Table) -> None:
    options = {"target": "outcome", "recipe": Recipe(STEPS), "model_type": "logistic regression"}
    first, second = (train_classifier(table, **options) for _ in range(2))
    assert first.ref == second.ref == "visits:1"
    # A recipe that was fitted elsewhere learns anew.
    elsewhere = Recipe(STEPS[:6]).fit(visits(50))
    again = train_classifier(table, target="outcome", recipe=elsewhere)
    front = again.predictor.preparation.front
    assert front is not None
    assert front.recipe.steps[3].values["weight"] == pytest.approx(
        table.to_polars()["weight"].mean()
    )


def test_the_target_is_out_of_reach(table: Table) -> None:
    numbers = table.to_polars().with_columns(outcome=(pl.col("outcome") == "high").cast(pl.Int64))
    coded = read_table(numbers, name="coded")
    model = train_classifier(coded, target="outcome", recipe=Recipe([Impute(), Scale()]))
    assert model.classes == ("0", "1")
    front = model.predictor.preparation.front
    assert front is not None
    assert set(front.recipe.steps[1].scales) == {"weight", "height"}
    for step in (
        Derive(columns={"x": "outcome * 2"}),
        Scale(columns=("outcome",)),
        Select(columns=("weight", "outcome")),
    ):
        with pytest.raises(InvalidInput, match="do without the target"):
            train_classifier(coded, target="outcome", recipe=Recipe([step]))


def test_what_cannot_stand_in_front_of_a_model(table: Table) -> None:
    for recipe, words in (
        ([Lag(columns=("weight",), order=("visit",))], "looks at rows around"),
        ([Aggregate(by=("ward",), values={"n": "rows()"})], "looks at rows around"),
        ([Impute(columns=("weight",), method="forward", order=("visit",))], "around a row"),
        ([Derive(columns={"z": "weight - mean(weight)"})], "around a row"),
        ([Filter(where="weight > 1000")], "no training row is left"),
        ([Filter(where="outcome == 'low'")], "all training rows of a class"),
        ([DropColumns(columns=("bmi",))], "not there"),
    ):
        with pytest.raises(InvalidInput, match=words):
            train_classifier(table, target="outcome", recipe=Recipe(recipe))
    with pytest.raises(InvalidInput, match="recipe is for the columns"):
        train_classifier((np.eye(8), [0, 1] * 4), recipe=Recipe([Impute()]))


def test_a_kept_recipe_is_in_the_lineage(table: Table, workspace: Workspace) -> None:
    node = save_recipe("tidy", Recipe([Tidy(), HashEncode(columns=("ward",), buckets=8)]))
    model = train_classifier(table, target="outcome", recipe="tidy")
    run = next(n for role, n in workspace.lineage.parents(model.node.id) if role == "run")
    assert (("recipe", node.id)) in [(r, n.id) for r, n in workspace.lineage.parents(run.id)]
    assert model.predict(table).shape == (300,)


def test_a_model_carries_what_it_joins(table: Table, workspace: Workspace) -> None:
    read_table({"ward": [" A", "a", "B "], "beds": [10.0, 20.0, None]}, name="wards")
    recipe = Recipe([Join(table="wards", on=("ward",)), OneHot(columns=("ward",))])
    model = train_classifier(table, target="outcome", recipe=recipe)
    before = model.features(table)
    read_table({"ward": [" A"], "beds": [99.0]}, name="wards")
    run = next(n for role, n in workspace.lineage.parents(model.node.id) if role == "run")
    assert dict(workspace.lineage.parents(run.id))["joined"].ref == "wards:1"
    again = Preparation.from_json(model.predictor.preparation.to_json())
    assert again.front is not None
    assert again.front.apply(table.to_polars().drop("outcome").head(2))["beds"].shape == (2,)
    np.testing.assert_array_equal(model.features(table), before)


def test_altered_recipes_are_refused(table: Table) -> None:
    model = train_classifier(table, target="outcome", recipe=Recipe(STEPS))
    said = model.predictor.preparation.to_json()
    assert Preparation.from_json(said).to_json() == said
    with pytest.raises(Corrupt):
        Preparation.from_json(said.replace(b'"tidy"', b'"eval"'))


def test_a_proposal_learns_german_credit(datasets: Path, workspace: Workspace) -> None:
    table = read_table(datasets / "finance/german_credit/credit-g.arff", name="credit")
    train, test = split_data(table, target="class")
    recipe = propose_recipe(train, target="class")
    model = train_classifier(train, target="class", recipe=recipe, model_type="logistic regression")
    evaluation = evaluate(model, test)
    # The set's own figures lie at 0.75 to 0.80.
    assert evaluation.auc is not None
    assert evaluation.auc > 0.74
