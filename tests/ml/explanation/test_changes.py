"""Other records: what-if, counterfactuals, and how far an explanation holds."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.explanation import counterfactuals, stability
from lepton_ai.ml.model import Model
from lepton_ai.ml.training import train_classifier, train_detector
from lepton_ai.storage import Workspace

from .conftest import RECORD, people

Trained = Callable[..., Model]


def test_what_if_asks_twice(classifier: Trained) -> None:
    model = classifier("random forest")
    found = model.what_if(RECORD, age=60, job="nurse")
    before, after = model.predict_proba([RECORD, RECORD | {"age": 60, "job": "nurse"}])
    assert found.differences == pytest.approx(after - before)
    assert found.after["label"] == "good"
    assert found.changes == {"age": (25, 60), "job": ("none", "nurse")}
    assert model.what_if(RECORD, {"job": "nurse"}).changes == {"job": ("none", "nurse")}
    assert "job: none -> nurse" in str(found)
    with pytest.raises(InvalidInput, match="no column 'aeg'; did you mean age"):
        model.what_if(RECORD, aeg=3)
    with pytest.raises(InvalidInput, match="nothing is changed"):
        model.what_if(RECORD)


@pytest.mark.parametrize("name", ["random forest", "logistic regression", "svm"])
def test_counterfactuals_are_answered_otherwise_within_what_training_had(
    name: str, classifier: Trained
) -> None:
    model = classifier(name)
    assert model.predict([RECORD])[0] == "bad"
    found = counterfactuals(model, RECORD, "good", immutable=["smoker", "noise"])
    assert found
    columns = {each.name: each for each in model.explainer.basis.columns}
    for each in found:
        changed = RECORD | {name: after for name, (_, after) in each.changes.items()}
        assert model.predict([changed])[0] == "good" == each.after["label"]
        assert not set(each.changes) & {"smoker", "noise"}
        for column, (before, after) in each.changes.items():
            assert before == RECORD[column]
            summary = columns[column]
            if summary.kind == "number":
                assert summary.low <= after <= summary.high
                assert not summary.whole or after == int(after)
            else:
                assert after in summary.categories
        # No change is needless.
        for column in each.changes:
            less = {key: value for key, value in changed.items() if key != column}
            kept = less | {column: RECORD[column]}
            assert model.predict([kept])[0] == "bad"
    assert [each.distance for each in found] == sorted(each.distance for each in found)


def test_a_tie_is_not_across_the_decision(workspace: Workspace) -> None:
    frame = people().drop("cost")
    model = train_classifier(frame, target="risk", n_estimators=2, workspace=workspace)
    record = RECORD | {"age": 60, "job": "nurse"}
    assert model.predict([record])[0] == "good"
    for wanted in ("bad", None):
        found = counterfactuals(model, record, wanted)
        assert found
        for each in found:
            shares = each.after["probabilities"]
            assert each.after["label"] == "bad"
            assert shares["bad"] > shares["good"] + 1e-6


def test_the_nearest_change_of_a_number_is_where_the_answer_turns(regressor: Trained) -> None:
    model = regressor("linear regression")
    # cost is about 3 age + 50 + 15: 140 at 25.
    (found, *_) = counterfactuals(
        model, RECORD, at_least=200, allowed=["amount", "age"], most_changes=1
    )
    assert set(found.changes) == {"age"}
    age = found.changes["age"][1]
    assert model.predict([RECORD | {"age": age}])[0] >= 200
    assert model.predict([RECORD | {"age": age - 1}])[0] < 200
    (fallen, *_) = counterfactuals(model, RECORD, at_most=100, immutable=["age"])
    assert fallen.changes["job"][1] in ("nurse", "driver")
    assert counterfactuals(model, RECORD, at_least=1e9) == []
    none = counterfactuals(model, RECORD, at_least=200, allowed=["age"], ranges={"age": (None, 30)})
    assert none == []


def test_an_anomaly_becomes_normal(workspace: Workspace) -> None:
    frame = people().select("age", "amount").drop_nulls()
    model = train_detector(frame, n_estimators=30, workspace=workspace, name="strange")
    record = {"age": 50, "amount": 9000.0}
    assert model.predict([record])[0] == "anomaly"
    (found, *_) = counterfactuals(model, record)
    assert found.after["label"] == "normal"
    assert found.changes["amount"][1] < 3000


def test_dates_change_as_dates(workspace: Workspace) -> None:
    days = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 7, 1), "1d", eager=True)
    late = (days > datetime(2024, 4, 1)).to_list()
    frame = pl.DataFrame({"day": days, "late": np.where(late, "yes", "no")})
    model = train_classifier(
        frame, target="late", model_type="dt", workspace=workspace, kinds={"day": "date"}
    )
    (found,) = counterfactuals(model, {"day": datetime(2024, 2, 1)}, "yes")
    after = found.changes["day"][1]
    assert isinstance(after, datetime)
    assert datetime(2024, 4, 1) <= after <= datetime(2024, 4, 3)
    text = model.explain({"day": "2024-02-01T00:00:00Z"})
    assert text["day"] == model.explain({"day": datetime(2024, 2, 1)})["day"]  # type: ignore[index]


def test_bad_wishes_say_what_is_wrong(classifier: Trained, regressor: Trained) -> None:
    model = classifier("random forest")
    with pytest.raises(InvalidInput, match="already"):
        counterfactuals(model, RECORD, "bad")
    with pytest.raises(InvalidInput, match="none of the labels: bad, good"):
        counterfactuals(model, RECORD, "fine")
    with pytest.raises(InvalidInput, match="no column 'sex'"):
        counterfactuals(model, RECORD, immutable=["sex"])
    with pytest.raises(InvalidInput, match="at_least= or at_most="):
        counterfactuals(regressor("ridge"), RECORD)
    with pytest.raises(InvalidInput, match="change the columns of a record"):
        counterfactuals(model, [RECORD])  # type: ignore[arg-type]


def test_a_stable_explanation_and_one_that_is_chance(
    classifier: Trained, workspace: Workspace
) -> None:
    steady = stability(classifier("logistic regression"), RECORD, draws=6)
    assert steady.background > 0.8
    assert steady.neighbours > 0.8
    assert steady.deviations["job"] < 1
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(80, 6))
    guess = train_classifier((matrix, rng.integers(0, 2, 80)), model_type="dt", workspace=workspace)
    shaky = stability(guess, matrix[0] * 0.1, draws=6)
    assert float(shaky) < float(steady)
    assert stability(guess, matrix[0] * 0.1, draws=6) == shaky
    with pytest.raises(InvalidInput, match="one row; got 2"):
        stability(guess, matrix[:2])
    with pytest.raises(InvalidInput, match="draws must be 2"):
        stability(guess, matrix[0], draws=1)
