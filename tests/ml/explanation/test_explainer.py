"""Every family explained by its own mathematics, on the user's columns, from the bundle alone."""

import json
import math
import subprocess
import sys
from collections.abc import Callable

import msgspec
import numpy as np
import polars as pl
import pytest
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.datasets import load_wine

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes import Derive, Impute, Recipe, Scale
from lepton_ai.ml.explanation.basis import Basis
from lepton_ai.ml.explanation.explanation import Explanation
from lepton_ai.ml.explanation.summing import basis_of
from lepton_ai.ml.explanation.terms import Gaussian
from lepton_ai.ml.model import Model
from lepton_ai.ml.training import (
    train_classifier,
    train_clusterer,
    train_detector,
    train_forecaster,
)
from lepton_ai.storage import Workspace

from .conftest import RECORD, people

Trained = Callable[..., Model]

METHODS = {
    "decision tree": "exact Shapley values of trees",
    "random forest": "exact Shapley values of trees",
    "extra trees": "exact Shapley values of trees",
    "histogram gradient boosting": "exact Shapley values of trees",
    "lightgbm": "exact Shapley values of trees",
    "catboost": "exact Shapley values of trees",
    "logistic regression": "coefficient times deviation from the mean",
    "linear svm": "coefficient times deviation from the mean",
    "naive bayes": "prior times likelihoods",
    "multinomial naive bayes": "prior times likelihoods",
    "categorical naive bayes": "prior times likelihoods",
    "svm": "exact Shapley values",
    "k-nearest": "exact Shapley values",
    "multilayer perceptron": "exact Shapley values",
}
COLUMNS = {"age", "job", "amount", "smoker", "noise"}


def number(found: Explanation, chance: float) -> float:
    """The probability of what is explained, in the explanation's space."""
    return chance if found.space == "probability" else math.log(chance / (1 - chance))


@pytest.mark.filterwarnings("ignore:Bins whose width")
@pytest.mark.parametrize("name", METHODS)
def test_base_and_contributions_are_the_answer(name: str, classifier: Trained) -> None:
    model = classifier(name)
    # A neutral one, for log-odds next to certainty are beyond single precision.
    record = RECORD | {"age": 36, "job": "nurse"}
    for about in ("bad", "good"):
        found = model.explain(record, about=about)
        assert isinstance(found, Explanation)
        assert found.method == METHODS[name]
        assert {item.column for item in found.contributions} == COLUMNS
        total = found.base + sum(item.contribution for item in found.contributions)
        chance = found.prediction["probabilities"][about]
        assert total == pytest.approx(number(found, chance), abs=2e-4)
        assert found.answer == pytest.approx(total, abs=2e-4)
        assert found.gap < 2e-4


@pytest.mark.parametrize("name", ["ridge", "lasso", "linear regression", "random forest", "svm"])
def test_values_are_explained_in_their_own_units(name: str, regressor: Trained) -> None:
    model = regressor(name)
    found = model.explain(RECORD)
    assert isinstance(found, Explanation)
    assert (found.about, found.space) == ("cost", "value")
    value = model.predict([RECORD])[0]
    assert found.base + sum(c.contribution for c in found.contributions) == pytest.approx(value)


def test_a_linear_model_is_its_coefficients_in_the_users_units(regressor: Trained) -> None:
    # cost = 3 age + 50 (no job) + amount / 100, so one more year adds 3.
    model = regressor("linear regression")
    young, old = model.explain([RECORD, RECORD | {"age": 35}])
    assert old["age"] - young["age"] == pytest.approx(30, rel=0.05)
    assert young["job"] > 0 > model.explain([RECORD | {"job": "nurse"}])[0]["job"]
    assert abs(young["noise"]) < 1


def test_trees_agree_with_all_coalitions_of_the_records(classifier: Trained) -> None:
    for name in ("decision tree", "random forest", "extra trees"):
        model = classifier(name)
        own, every = model.explain(RECORD), model.explain(RECORD, method="exact")
        assert isinstance(own, Explanation)
        assert isinstance(every, Explanation)
        assert own.space == every.space == "probability"
        for column in COLUMNS:
            assert own[column] == pytest.approx(every[column], abs=1e-6)
        assert own.base == pytest.approx(every.base, abs=1e-6)


def test_naive_bayes_is_prior_times_likelihoods(classifier: Trained) -> None:
    model = classifier("naive bayes")
    found = model.explain(RECORD)
    assert isinstance(found, Explanation)
    terms = model.explainer.basis.terms
    assert isinstance(terms, Gaussian)
    features = model.features([RECORD])[0]
    names = model.predictor.preparation.feature_names
    for code, evidence in enumerate(found.evidence):
        deviation = np.sqrt(terms.variances.values[code])
        densities = norm(terms.means.values[code], deviation).logpdf(features)
        jobs = [place for place, name in enumerate(names) if name.startswith("job=")]
        assert evidence.likelihoods["job"] == pytest.approx(densities[jobs].sum())
        ages = [place for place, name in enumerate(names) if "age" in name]
        assert len(ages) == 2  # the number, and whether it was missing
        assert evidence.likelihoods["age"] == pytest.approx(densities[ages].sum())
        total = evidence.prior + sum(evidence.likelihoods.values())
        assert total == pytest.approx(evidence.joint, abs=1e-9)
    joints = np.array([each.joint for each in found.evidence])
    chances = np.exp(joints - logsumexp(joints))
    assert [each.probability for each in found.evidence] == pytest.approx(chances)
    assert found.prediction["probabilities"]["bad"] == pytest.approx(chances[0], abs=1e-5)
    assert found.answer == pytest.approx(joints[0] - joints[1])


@pytest.mark.filterwarnings("ignore:Bins whose width")
@pytest.mark.parametrize("name", ["multinomial naive bayes", "categorical naive bayes"])
def test_counts_and_bins_give_the_posterior_of_the_served_form(
    name: str, classifier: Trained
) -> None:
    model = classifier(name)
    frame = people(60, seed=4).drop("risk", "cost")
    expected = model.predict_proba(frame)
    for found, row in zip(model.explain(frame), expected, strict=True):
        assert [each.probability for each in found.evidence] == pytest.approx(row, abs=1e-5)


def test_a_tree_shows_its_path_in_the_users_units(classifier: Trained) -> None:
    found = classifier("decision tree").explain(RECORD | {"job": "nurse"})
    assert isinstance(found, Explanation)
    assert found.path[0].rule == "not job=none"
    asked = [step for step in found.path if step.rule.startswith("age ")]
    assert {step.value for step in asked} == {25.0}
    for step in asked:
        _, sign, bound = step.rule.split(" ")
        assert (step.value <= float(bound)) == (sign == "<=")


def test_more_classes_are_told_from_their_average(workspace: Workspace) -> None:
    matrix, codes = load_wine(return_X_y=True)
    for name, options in (
        ("logistic regression", {}),
        ("histogram gradient boosting", {"max_iter": 5}),
    ):
        model = train_classifier((matrix, codes), model_type=name, workspace=workspace, **options)
        row = (matrix[0] + matrix[100]) / 2
        every = [model.explain(row, about=label) for label in model.classes]
        scores = np.array([each.answer for each in every])
        assert {each.space for each in every} == {"log-odds against the average class"}
        assert scores.sum() == pytest.approx(0, abs=1e-3)
        chances = np.exp(scores) / np.exp(scores).sum()
        assert chances == pytest.approx(model.predict_proba(row[None])[0], abs=1e-4)


def test_columns_behind_a_recipe(workspace: Workspace) -> None:
    frame = people().drop("cost")
    record = RECORD
    apart = Recipe((Impute(columns=("age",)), Scale(columns=("amount",))))
    mixed = Recipe((Derive(columns={"ratio": "amount / (age + 1)"}),))
    for recipe, method in (
        (apart, "exact Shapley values of trees"),
        (mixed, "exact Shapley values"),
    ):
        model = train_classifier(
            frame, target="risk", recipe=recipe, n_estimators=10, workspace=workspace
        )
        found = model.explain(record)
        assert isinstance(found, Explanation)
        assert found.method == method
        every = model.explain(record, method="exact")
        assert isinstance(every, Explanation)
        assert {item.column for item in found.contributions} >= COLUMNS
        for item in found.contributions:
            assert item.contribution == pytest.approx(every[item.column], abs=1e-6)


def test_clusters_anomalies_and_forecasts(workspace: Workspace) -> None:
    frame = people().drop("risk", "cost", "id").drop_nulls()
    record = {name: RECORD[name] for name in frame.columns}
    clusters = train_clusterer(frame, n_clusters=2, workspace=workspace, name="clusters")
    found = clusters.explain(record)
    assert isinstance(found, Explanation)
    assert found.space == "membership"
    assert found.base + sum(c.contribution for c in found.contributions) == pytest.approx(1)
    detector = train_detector(frame, n_estimators=20, workspace=workspace, name="strange")
    strange = detector.explain(record | {"amount": 9000.0})
    assert isinstance(strange, Explanation)
    assert strange.contributions[0].column == "amount"
    assert strange.contributions[0].contribution > 0
    steps = np.arange(60.0)
    series = {"t": steps, "flow": 10 + np.sin(steps), "other": np.cos(steps)}
    forecaster = train_forecaster(
        pl.DataFrame(series),
        time="t",
        target=["flow", "other"],
        horizon=2,
        model_type="ridge forecast",
        workspace=workspace,
        name="flows",
    )
    past = [{"t": t, "flow": 10 + math.sin(t), "other": math.cos(t)} for t in range(30, 60)]
    ahead = forecaster.explain(past, about="other + 2")
    assert isinstance(ahead, Explanation)
    total = ahead.base + sum(c.contribution for c in ahead.contributions)
    assert total == pytest.approx(ahead.prediction["forecast"]["other"][1])


def test_many_columns_are_sampled_with_errors(workspace: Workspace) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(120, 20))
    matrix[0, 0] = 3.0
    model = train_classifier(
        (matrix, (matrix[:, 0] > 0).astype(int)), model_type="svm", workspace=workspace
    )
    found = model.explain(matrix[0], samples=20)
    assert isinstance(found, Explanation)
    assert found.method == "Shapley values over 40 orders"
    assert found.contributions[0].column == "x0"
    assert all(item.error is not None and item.error > 0 for item in found.contributions)
    total = found.base + sum(item.contribution for item in found.contributions)
    assert total == pytest.approx(found.answer)
    assert model.explain(matrix[0], samples=20) == found
    with pytest.raises(InvalidInput, match="at most 16 columns"):
        model.explain(matrix[0], method="exact")


def test_what_cannot_be_explained_says_why(classifier: Trained) -> None:
    model = classifier("svm")
    with pytest.raises(InvalidInput, match="it answers: bad, good"):
        model.explain(RECORD, about="nobody")
    with pytest.raises(InvalidInput, match="no mathematics of its own"):
        model.explain(RECORD, method="own")
    with pytest.raises(InvalidInput, match="no gradients"):
        model.explain(RECORD, method="gradients")
    with pytest.raises(InvalidInput, match="samples must be 2"):
        model.explain(RECORD, samples=1)
    with pytest.raises(InvalidInput, match="missing"):
        model.explain({"age": 3})
    with pytest.raises(InvalidInput, match="takes records"):
        model.explain(7)


def test_a_bundle_holds_no_row_of_the_training(classifier: Trained) -> None:
    model = classifier("random forest")
    content = model.bundle.read("explanation.json")
    basis = Basis.from_json(content)
    assert basis.to_json() == content
    assert len(content) < 20_000
    assert sum(basis.weights) == pytest.approx(1)
    # Each stands for ten rows or more.
    assert min(basis.weights) * basis.rows >= 10
    assert b"customer" not in content
    amounts = set(people()["amount"].to_list())
    column = next(each for each in basis.columns if each.name == "amount")
    assert not amounts & set(column.prototypes)
    assert not amounts & {column.low, column.high}
    assert set(basis.columns[1].categories) == {"none", "nurse", "driver"}


def test_a_rare_category_is_kept_nowhere(workspace: Workspace) -> None:
    frame = people().drop("cost")
    jobs = frame["job"].to_list()
    jobs[:4] = ["king of one small land"] * 4
    model = train_classifier(
        frame.with_columns(job=np.array(jobs)), target="risk", model_type="dt", workspace=workspace
    )
    assert b"king" not in model.bundle.read("explanation.json")


def test_many_rows_of_one_patient_are_that_patient() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 2))
    jobs = np.array(["pilot"] * 60 + ["nurse"] * 240, dtype=object)
    columns = {"x": matrix[:, 0], "job": jobs}
    alone = basis_of(matrix, None, seed=0, columns=columns)
    assert alone.columns[1].categories == ("nurse", "pilot")
    # Five rows a patient: 12 of the 60 are pilots; then twenty rows each: three of fifteen.
    many = basis_of(matrix, None, seed=0, columns=columns, belongs=np.repeat(np.arange(60), 5))
    assert many.columns[1].categories == ("nurse", "pilot")
    assert len(many.weights) <= 6
    few = basis_of(matrix, None, seed=0, columns=columns, belongs=np.repeat(np.arange(15), 20))
    assert few.columns[1].categories == ("nurse",)
    assert few.weights == (1.0,)


def test_explanations_need_no_scikit_learn(classifier: Trained) -> None:
    model = classifier("random forest")
    program = f"""
import sys, json
from importlib.abc import MetaPathFinder
class Refuse(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("skops", "skl2onnx", "matplotlib", "torch"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from lepton_ai.storage import Workspace
from lepton_ai.ml.explanation.explainer import Explainer
workspace = Workspace.open({str(model.workspace.home)!r})
explainer = Explainer.load(workspace, workspace.lineage.get({model.node.id!r}))
(found,) = explainer.explain([{RECORD!r}])
print(json.dumps(found.to_dict()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert msgspec.convert(json.loads(done.stdout), Explanation) == model.explain(RECORD)
