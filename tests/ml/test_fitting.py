import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml import zoo
from lepton_ai.ml.fitting import _splits, fit
from lepton_ai.ml.runtimes import skops as skops_runtime

WINE, CODES = load_wine(return_X_y=True)


def test_it_is_scikit_learns_fit() -> None:
    entry = zoo.find("svm")
    fitted = fit(entry, WINE, CODES, seed=3, parameters={"C": 2.0})
    folds = StratifiedKFold(5, shuffle=True, random_state=3)
    expected = CalibratedClassifierCV(SVC(C=2.0, random_state=3), cv=folds, ensemble=False)
    expected.fit(WINE, CODES)
    assert (fitted.estimator.predict_proba(WINE) == expected.predict_proba(WINE)).all()
    assert fitted.settings["C"] == 2.0
    assert fitted.settings["kernel"] == "rbf"
    assert not set(fitted.settings) & set(entry.managed)
    assert fitted.notes == ()


@pytest.mark.parametrize("name", ["random forest", "extra trees"])
def test_a_forest_does_not_depend_on_the_number_of_threads(name: str) -> None:
    one, three = (
        fit(zoo.find(name), WINE, CODES, seed=0, parameters={"n_estimators": 9}, workers=workers)
        for workers in (1, 3)
    )
    assert skops_runtime.dumps(one.estimator) == skops_runtime.dumps(three.estimator)


def test_calibration_keeps_groups_on_one_side_and_every_class_in_training() -> None:
    rng = np.random.default_rng(0)
    groups = [f"patient {n}" for n in np.repeat(np.arange(40), 3)]
    codes = np.repeat(rng.permutation(40) % 2, 3)
    splits, notes = _splits(codes, groups, seed=0)
    assert notes == ()
    assert len(splits) == 5
    for train, held_out in splits:
        assert not {groups[n] for n in train} & {groups[n] for n in held_out}
        assert set(codes[train]) == {0, 1}
    assert sorted(np.concatenate([held_out for _, held_out in splits])) == list(range(120))


@pytest.mark.parametrize(
    ("codes", "groups", "folds", "said"),
    [
        ([0] * 9 + [1] * 9, None, 5, None),
        ([0] * 9 + [1] * 3, None, 3, None),
        ([0] * 9 + [1] * 2, None, 2, None),
        ([0] * 9 + [1], None, 1, "too few to calibrate"),
        ([0] * 6 + [1] * 6, list("abcabcxxxxxx"), 5, "too few groups"),
        ([0] * 6 + [1] * 6, list("abcabcxyxyxy"), 2, None),
    ],
)
def test_few_rows_give_fewer_folds(
    codes: list[int], groups: list[str] | None, folds: int, said: str | None
) -> None:
    splits, notes = _splits(np.array(codes), groups, seed=0)
    assert len(splits) == folds
    assert (said in notes[0]) if said else notes == ()


def test_what_the_estimator_refuses_is_one_error() -> None:
    with pytest.raises(InvalidInput, match="k-nearest cannot be fitted"):
        fit(zoo.find("knn"), WINE, CODES, seed=0, parameters={"n_neighbors": 179})
    with pytest.raises(InvalidInput, match="NaN"):
        fit(zoo.find("svm"), np.full((4, 2), np.nan), CODES[:4], seed=0, parameters={})


def test_a_fit_that_did_not_converge_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(zoo.find("mlp"), WINE, CODES, seed=0, parameters={"max_iter": 2})
    with pytest.warns(UserWarning, match="onverge"):
        fit(zoo.find("mlp"), WINE, CODES, seed=0, parameters={"max_iter": 2})
