import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.clustering import assess_clustering
from lepton_ai.ml.evaluation.partitions import AgreementMeasure, SeparationMeasure


def blobs(spread: float = 1.0, rows: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, the blob of each, and what k-means finds."""
    matrix, known = make_blobs(rows, centers=4, cluster_std=spread, random_state=3)
    return matrix, known, KMeans(4, n_init=2, random_state=0).fit_predict(matrix)


def test_the_figures_are_scikit_learns() -> None:
    matrix, known, labels = blobs(2.0)
    found = assess_clustering(matrix, labels, known=known, resamples=50)
    assert found.figures == pytest.approx(
        {
            "silhouette": reference.silhouette_score(matrix, labels),
            "davies_bouldin": reference.davies_bouldin_score(matrix, labels),
            "calinski_harabasz": reference.calinski_harabasz_score(matrix, labels),
            "stability": None,
            "adjusted_rand": reference.adjusted_rand_score(known, labels),
            "mutual_information": reference.normalized_mutual_info_score(known, labels),
            "noise": 0,
        }
    )
    for name in ("silhouette", "davies_bouldin", "calinski_harabasz", "mutual_information"):
        low, high = found.intervals[name]
        assert low < high


def test_a_weight_is_a_repetition() -> None:
    matrix, known, labels = blobs(2.0, 80)
    times = np.random.default_rng(0).integers(0, 4, 80)
    rows = np.repeat(np.arange(80), times)
    weights = times[None].astype(float)
    found = SeparationMeasure(matrix - 5, labels)(weights)
    again = matrix[rows], labels[rows]
    assert found["davies_bouldin"][0] == pytest.approx(reference.davies_bouldin_score(*again))
    assert found["calinski_harabasz"][0] == pytest.approx(reference.calinski_harabasz_score(*again))
    both = known[rows], labels[rows]
    agreement = AgreementMeasure(known, labels)(weights)
    assert agreement["adjusted_rand"][0] == pytest.approx(reference.adjusted_rand_score(*both))
    assert agreement["mutual_information"][0] == pytest.approx(
        reference.normalized_mutual_info_score(*both)
    )


def test_clusters_that_are_there_are_found_again() -> None:
    def fit(rows: np.ndarray):
        return KMeans(4, n_init=2, random_state=0).fit(rows).predict

    matrix, _, labels = blobs(0.5, 120)
    firm = assess_clustering(matrix, labels, fit=fit, refits=6, resamples=5)
    assert firm.stability == pytest.approx(1)
    # One cloud, cut into four, is cut anew each time.
    cloud = np.random.default_rng(0).normal(size=(120, 2))
    loose = assess_clustering(cloud, fit(cloud)(cloud), fit=fit, refits=6, resamples=5)
    assert loose.stability < 0.8
    low, high = loose.intervals["stability"]
    assert low <= loose.stability <= high


def test_noise_counts_in_no_figure_but_the_agreement() -> None:
    matrix, known, labels = blobs(0.8)
    named = labels.astype(str).astype(object)
    named[:30] = "noise"
    found = assess_clustering(matrix, named, known=known, resamples=5)
    assert found.noise == pytest.approx(0.1)
    assert found.silhouette == pytest.approx(reference.silhouette_score(matrix[30:], labels[30:]))
    assert found.adjusted_rand == pytest.approx(
        reference.adjusted_rand_score(known, named.astype(str))
    )
    assert sum(item.rows for item in found.clusters) == 270


def test_many_rows_are_sampled_for_silhouettes() -> None:
    matrix, _, labels = blobs(1.0, 6000)
    found = assess_clustering(matrix, labels, resamples=20)
    assert found.sampled == 4000
    low, high = found.intervals["silhouette"]
    assert low - 0.01 < reference.silhouette_score(matrix, labels) < high + 0.01
    assert sum(item.rows for item in found.clusters) == 6000


def test_one_cluster_has_no_silhouette() -> None:
    found = assess_clustering(np.arange(6.0).reshape(3, 2), ["a", "a", "a"], resamples=5)
    assert (found.silhouette, found.davies_bouldin) == (None, None)
    assert found.clusters[0].rows == 3
    assert "1 clusters" in str(found)


def test_equal_partitions_agree_wholly() -> None:
    same = AgreementMeasure(np.zeros(5, dtype=int), np.zeros(5, dtype=int))(np.ones((1, 5)))
    assert same["adjusted_rand"][0] == same["mutual_information"][0] == 1


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InvalidInput, match="finite features"):
        assess_clustering([[1.0, np.nan]], ["a"])
    with pytest.raises(InvalidInput, match="2 labels"):
        assess_clustering([[1.0]], ["a", "b"])
