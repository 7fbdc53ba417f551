from pathlib import Path

import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml import zoo
from lepton_ai.ml.zoo.find import _plain as plain

NAMES = {
    "svm": ["SVM", "svc", "Support Vector Machine"],
    "random forest": ["RandomForest", "random forest", "random_forest", "RF", " Random-Forest "],
    "extra trees": ["ExtraTrees", "ExtraTreesClassifier"],
    "naive bayes": ["naive_bayes", "GaussianNB", "NB"],
    "decision tree": ["DecisionTree", "tree"],
    "k-nearest": ["KNN", "k nearest neighbours", "K-Nearest Neighbors", "KNeighborsClassifier"],
    "logistic regression": ["LogisticRegression", "logistic"],
    "multilayer perceptron": ["MLP", "MLPClassifier", "multi-layer perceptron"],
    "histogram gradient boosting": ["HistGradientBoosting", "HistGradientBoostingClassifier"],
}


def test_every_classifier_is_in_the_table() -> None:
    assert set(zoo.entries("classification")) >= set(NAMES)


@pytest.mark.parametrize(
    ("written", "name"), [(alias, name) for name, many in NAMES.items() for alias in (name, *many)]
)
def test_names_in_any_case_and_spelling(written: str, name: str) -> None:
    assert zoo.find(written).name == name


def test_no_name_means_two_things() -> None:
    names = [plain(n) for e in zoo.entries().values() for n in {e.name, *e.aliases}]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["CNN2", "", None, 3])
def test_an_unknown_name_lists_the_known_ones(name: object) -> None:
    with pytest.raises(zoo.UnknownModel, match="random forest, svm") as caught:
        zoo.find(name)  # type: ignore[arg-type]
    assert repr(name) in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_parameters_reach_the_estimator() -> None:
    forest = zoo.create(zoo.find("rf"), 7, {"max_depth": 3})
    assert (forest.max_depth, forest.n_estimators, forest.random_state) == (3, 200, 7)
    assert zoo.create(zoo.find("rf"), 7, {"n_estimators": 5}).n_estimators == 5


def test_an_unknown_parameter_lists_near_ones() -> None:
    with pytest.raises(zoo.UnknownParameter, match="did you mean n_estimators") as caught:
        zoo.create(zoo.find("rf"), 0, {"n_estimator": 5})
    assert "max_depth" in str(caught.value)
    assert "n_jobs" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("svm", {"C": -1}, "'C' parameter"),
        ("svm", {"kernel": "quadratic"}, "'kernel' parameter"),
        ("rf", {"n_estimators": "many"}, "'n_estimators' parameter"),
        ("svm", {"probability": True}, "leave it out"),
        ("rf", {"random_state": 3}, "pass seed="),
    ],
)
def test_wrong_values_are_refused_before_any_work(
    name: str, parameters: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        zoo.create(zoo.find(name), 0, parameters)


def test_a_package_can_add_a_classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ridge_plugin.py").write_text(
        "from lepton_ai.ml.zoo import Entry\n"
        "path = 'sklearn.naive_bayes:BernoulliNB'\n"
        "entry = Entry(name='bernoulli', aliases=('bnb',), paths={'classification': path})\n"
        "wrong = 3\n"
    )
    info = tmp_path / "ridge_plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ridge-plugin\nVersion: 1\n")
    points = info / "entry_points.txt"
    points.write_text("[lepton_ai.models]\nbernoulli = ridge_plugin:entry\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert type(zoo.create(zoo.find("BNB"), 0, {})).__name__ == "BernoulliNB"
    points.write_text("[lepton_ai.models]\nbernoulli = ridge_plugin:wrong\n")
    with pytest.raises(InvalidInput, match="gives int"):
        zoo.find("bernoulli")
    # What a package adds is none of a built-in model's business.
    assert zoo.find("svm").name == "svm"
