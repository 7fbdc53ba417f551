"""Models on the whole: importances and how answers depend on a column."""

from collections.abc import Callable

import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.explanation import dependence, importance
from lepton_ai.ml.model import Model

from .conftest import people

Trained = Callable[..., Model]


def test_columns_that_decide_come_first_and_noise_last(classifier: Trained) -> None:
    model = classifier("random forest")
    test = people(300, seed=9).drop("cost")
    found = importance(model, test, rows=60)
    assert [item.column for item in found.columns[:2]] in (["age", "job"], ["job", "age"])
    assert (found.loss, found.rows, found.space) == ("log loss", 60, "probability")
    by_name = {item.column: item for item in found.columns}
    for name in ("age", "job"):
        low, high = by_name[name].interval or (0, 0)
        assert 0 < low < (by_name[name].permutation or 0) < high
    noise = by_name["noise"].interval or (1, 1)
    assert noise[0] < 0.05
    sizes = [abs(each["age"]) for each in model.explain(test.head(60).drop("risk"))]
    rows = importance(model, test.head(60), rows=60)
    assert rows.columns[[c.column for c in rows.columns].index("age")].contribution == (
        pytest.approx(np.mean(sizes))
    )


def test_without_data_the_prototypes_stand_for_it(regressor: Trained) -> None:
    model = regressor("ridge")
    found = importance(model)
    assert found.loss == ""
    assert found.columns[0].column == "age"
    assert found.rows == len(model.explainer.basis.weights)
    assert "mean |contribution|" in str(found)


def test_a_tree_is_shown_as_rules(classifier: Trained) -> None:
    found = importance(classifier("decision tree"))
    assert found.rules[0] == "|-- not job=none"
    leaves = [line for line in found.rules if ": bad" in line]
    forest = classifier("decision tree").explainer.forest
    assert forest is not None
    assert len(leaves) == (forest.feature < 0).sum()
    assert found.rules[0] in str(found)


def test_partial_dependence_of_a_linear_model_is_its_line(regressor: Trained) -> None:
    model = regressor("linear regression")
    data = people(200, seed=3).drop("risk", "cost")
    for kind in ("partial", "ale"):
        found = dependence(model, "age", data, kind=kind, points=8)
        slopes = np.diff(found.answers) / np.diff(found.values)
        assert slopes == pytest.approx(np.full(len(slopes), slopes[0]), rel=1e-3)
        assert slopes[0] == pytest.approx(3, rel=0.05)
    known = data.drop_nulls("age")
    ale = dependence(model, "age", known, kind="ale")
    # Effects are centred over the rows.
    line = np.interp(known["age"].to_numpy(), ale.values, ale.answers)
    assert abs(line.mean()) < 0.02 * (max(ale.answers) - min(ale.answers))


def test_partial_dependence_by_hand(classifier: Trained) -> None:
    model = classifier("random forest")
    data = people(50, seed=5).drop("risk", "cost")
    found = dependence(model, "job", data, about="bad")
    assert set(found.categories) == {"none", "nurse", "driver"}
    records = [record | {"job": "nurse"} for record in data.rows(named=True)]
    expected = model.predict_proba(records)[:, 0].mean()
    assert found.answers[found.categories.index("nurse")] == pytest.approx(expected)
    assert dependence(model, "smoker", data).categories == ("False", "True")


def test_bad_questions_say_what_is_wrong(classifier: Trained) -> None:
    model = classifier("random forest")
    with pytest.raises(InvalidInput, match="did you mean amount"):
        dependence(model, "amonut")
    with pytest.raises(InvalidInput, match="has not; use partial"):
        dependence(model, "job", kind="ale")
    with pytest.raises(InvalidInput, match="points must be 2"):
        dependence(model, "age", points=1)
    with pytest.raises(InvalidInput, match="rows must be 1"):
        importance(model, rows=0)
    with pytest.raises(InvalidInput, match="no row to explain"):
        importance(model, people().drop("cost").head(0))
