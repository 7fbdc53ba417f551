"""The zoo's own estimators: scikit-learn's contract, and other implementations beside them."""

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import load_iris, load_wine, make_blobs, make_moons
from sklearn.naive_bayes import CategoricalNB, MultinomialNB
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.runtimes.onnx import OnnxRuntime
from lepton_ai.ml.task import CLUSTERING
from lepton_ai.ml.zoo.bayes import CategoricalBayes, MultinomialBayes
from lepton_ai.ml.zoo.process import GaussianProcess
from lepton_ai.ml.zoo.prototypes import (
    AgglomerativeClusterer,
    DBSCANClusterer,
    HDBSCANClusterer,
    KMeansClusterer,
    MiniBatchKMeansClusterer,
)

catboost = pytest.importorskip("lepton_ai.ml.zoo.catboost")
MOONS, _ = make_moons(400, noise=0.05, random_state=0)

CHECKED = [
    KMeansClusterer(3),
    MiniBatchKMeansClusterer(3),
    AgglomerativeClusterer(3),
    MultinomialBayes(),
    CategoricalBayes(),
    catboost.CatBoostClassifier(iterations=20),
    catboost.CatBoostRegressor(iterations=100),
]


# Its bootstrap draws a weight for each row, so that a row twice is not a row of double weight.
EXPECTED_FAILURES = {
    ("CatBoostClassifier", "check_sample_weight_equivalence_on_dense_data"),
    ("CatBoostRegressor", "check_sample_weight_equivalence_on_dense_data"),
}


def cases() -> Any:
    for estimator in CHECKED:
        for _, check in estimator_checks_generator(estimator, legacy=True):
            name = getattr(check, "func", check).__name__
            if (type(estimator).__name__, name) in EXPECTED_FAILURES:
                continue
            yield pytest.param(estimator, check, id=f"{type(estimator).__name__}-{name}")


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "check"), [*cases()])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def test_k_means_is_scikit_learns() -> None:
    matrix = load_iris().data.astype(np.float32).astype(np.float64)
    ours = KMeansClusterer(3, random_state=0).fit(matrix)
    theirs = KMeans(3, n_init=10, random_state=0).fit(matrix)
    assert (ours.labels_ == theirs.labels_).all()
    assert (ours.predict(matrix) == theirs.predict(matrix)).all()
    assert ours.prototypes_ == pytest.approx(theirs.cluster_centers_, rel=1e-6)


def test_agglomerative_keeps_its_rows_and_places_new_ones_beside_the_nearest() -> None:
    matrix, _ = make_blobs(120, centers=4, random_state=3)
    matrix = matrix.astype(np.float32).astype(np.float64)
    ours = AgglomerativeClusterer(4).fit(matrix)
    assert (ours.labels_ == AgglomerativeClustering(4).fit(matrix).labels_).all()
    assert (ours.predict(matrix) == ours.labels_).all()
    assert (ours.predict(matrix + 1e-3) == ours.labels_).all()


def test_dbscan_places_core_rows_as_it_found_them_and_far_ones_nowhere() -> None:
    matrix = MOONS.astype(np.float32).astype(np.float64)
    found = DBSCAN(eps=0.15).fit(matrix)
    ours = DBSCANClusterer(0.15).fit(matrix)
    core = found.core_sample_indices_
    assert (ours.predict(matrix)[core] == found.labels_[core]).all()
    noise = found.labels_ == -1
    assert (ours.predict(matrix)[noise] == -1).all()
    assert ours.predict([[40.0, 40.0]]).tolist() == [-1]
    assert ours.predict_proba([[40.0, 40.0]]).tolist() == [[0.0, 0.0, 1.0]]


def test_hdbscan_places_its_members_and_no_far_row() -> None:
    matrix = MOONS.astype(np.float32).astype(np.float64)
    found = HDBSCAN(min_cluster_size=20, copy=True).fit(matrix)
    ours = HDBSCANClusterer(20).fit(matrix)
    members = found.labels_ >= 0
    assert (ours.predict(matrix)[members] == found.labels_[members]).all()
    assert ours.predict([[9.0, 9.0]]).tolist() == [-1]


@pytest.mark.parametrize(
    "estimator", [KMeansClusterer(5), DBSCANClusterer(0.15), HDBSCANClusterer(20)]
)
def test_the_graph_places_new_rows_as_the_estimator_does(estimator: Any) -> None:
    ours = estimator.fit(MOONS)
    new = np.random.default_rng(1).uniform(-2, 3, (2000, 2)).astype(np.float32).astype(np.float64)
    graph = OnnxRuntime(ours.to_onnx(), CLUSTERING).run(new)
    # On the very edge of a reach or between two prototypes the last bit decides.
    assert (graph == ours.predict_proba(new)).all(axis=1).mean() > 0.998


def test_only_noise_is_refused_with_advice() -> None:
    with pytest.raises(InvalidInput, match="reach further"):
        DBSCANClusterer(1e-6).fit(MOONS)


def test_bayes_are_scikit_learns_behind_scikit_learns_steps() -> None:
    matrix, target = load_wine(return_X_y=True)
    scaled = MinMaxScaler(clip=True).fit_transform(matrix)
    expected = MultinomialNB(alpha=0.5).fit(scaled, target).predict_proba(scaled)
    ours = MultinomialBayes(0.5).fit(matrix, target)
    assert ours.predict_proba(matrix) == pytest.approx(expected)
    bins = KBinsDiscretizer(
        5, encode="ordinal", quantile_method="averaged_inverted_cdf", subsample=None
    )
    codes = bins.fit_transform(matrix)
    expected = CategoricalNB(min_categories=5).fit(codes, target).predict_proba(codes)
    assert CategoricalBayes(5).fit(matrix, target).predict_proba(matrix) == pytest.approx(expected)


def test_catboost_is_catboosts_own() -> None:
    import catboost as library

    matrix, target = load_wine(return_X_y=True)
    ours = catboost.CatBoostClassifier(iterations=30, random_state=4).fit(matrix, target)
    theirs = library.CatBoostClassifier(
        iterations=30, random_seed=4, verbose=False, allow_writing_files=False
    ).fit(matrix, target)
    assert ours.predict_proba(matrix) == pytest.approx(theirs.predict_proba(matrix), abs=1e-9)


def test_a_gaussian_process_follows_a_curve_and_not_its_noise() -> None:
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 6, 80))[:, None]
    noisy = np.sin(x[:, 0]) + rng.normal(0, 0.2, 80)
    given = GaussianProcess(random_state=0).fit(x, noisy).predict(x)
    assert np.abs(given - np.sin(x[:, 0])).mean() < 0.1
