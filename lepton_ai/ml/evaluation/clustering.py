"""The evaluation of a clustering: how far apart, how stable, how like known labels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from msgspec import field
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.evaluation import Evaluation, Plot
from lepton_ai.ml.evaluation.figures import ClusterFigures
from lepton_ai.ml.evaluation.partitions import AgreementMeasure, SeparationMeasure
from lepton_ai.ml.evaluation.resampling import (
    Interval,
    Resampling,
    interval,
    intervals,
    unit_codes,
)
from lepton_ai.ml.evaluation.shown import Columns, Name, written

__all__ = ["ClusteringEvaluation", "assess_clustering", "stability"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# Silhouettes take the distances of all pairs of rows.
_MOST = 4000
_SHARES = np.linspace(0, 1, 21)


class ClusteringEvaluation(Evaluation, frozen=True, kw_only=True, eq=False, tag="clustering"):
    """The figures of a clustering; as a number, it is the mean silhouette.

    Attributes:
        silhouette: how much nearer rows are to their own cluster than to the next, in the mean:
            1 apart, 0 not (Rousseeuw, 1987). None with one cluster.
        davies_bouldin: how wide clusters are against their distance, the worst pairs in the mean;
            lower is better (Davies and Bouldin, 1979).
        calinski_harabasz: variance between clusters over that within (1974).
        stability: agreement of the clusters of resampled rows with these, where they were fitted
            anew: mean adjusted Rand index, 1 the same, 0 chance.
        adjusted_rand: agreement with known labels, 1 the same, 0 chance (Hubert and Arabie, 1985).
        mutual_information: normalised mutual information with known labels, 0 to 1.
        noise: share of rows that are in no cluster; they count in no other figure but the
            agreement with labels.
        sampled: rows that silhouettes were taken of.
        clusters: each of them, the largest first.
    """

    task: ClassVar[str] = "clustering"
    chief: ClassVar[str] = "silhouette"
    names: ClassVar[Mapping[str, Name]] = {
        "silhouette": Name("silhouette"),
        "davies_bouldin": Name("Davies-Bouldin index", "lower"),
        "calinski_harabasz": Name("Calinski-Harabasz index"),
        "stability": Name("stability (adjusted Rand)"),
        "adjusted_rand": Name("adjusted Rand index with labels"),
        "mutual_information": Name("mutual information with labels"),
        "noise": Name("rows in no cluster", "", percent=True),
    }

    silhouette: float | None
    davies_bouldin: float | None
    calinski_harabasz: float | None
    stability: float | None = None
    adjusted_rand: float | None = None
    mutual_information: float | None = None
    noise: float
    sampled: int
    clusters: list[ClusterFigures] = field(default_factory=list)

    def plots(self) -> dict[str, Plot]:
        """Return what draws the silhouettes of each cluster."""
        from lepton_ai.ml.evaluation import score_plots

        return {"silhouettes": lambda: score_plots.silhouettes(self)}

    def tables(self) -> list[Columns]:
        """Return the size and the silhouette of each cluster."""
        rows = [
            [item.label, str(item.rows), f"{item.rows / self.rows:.1%}", written(item.silhouette)]
            for item in self.clusters
        ]
        return [Columns("Clusters", ["cluster", "rows", "share", "silhouette"], rows, (1, 2, 3))]

    def about(self) -> str:
        """Return how many clusters there are."""
        return f"{len(self.clusters)} clusters"


def assess_clustering(
    matrix: Any,
    labels: Sequence[Any] | NDArray[Any],
    *,
    noise: str | None = "noise",
    known: Sequence[Any] | NDArray[Any] | None = None,
    fit: Callable[[Floats], Callable[[Floats], Any]] | None = None,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    resamples: int = 1000,
    refits: int = 20,
    confidence: float = 0.95,
    seed: int = 0,
) -> ClusteringEvaluation:
    """Measure how well rows fall into clusters.

    Silhouettes and stability are taken of at most 4,000 rows, drawn by the seed; the interval of
    the silhouette is over rows whose neighbours stay.

    Args:
        matrix: the features by which rows were clustered, on the scale they were (rows, features).
        labels: the cluster of each row.
        noise: the label of rows in no cluster.
        known: labels that the clusters should agree with, where there are any.
        fit: fits the clustering anew, for its stability: from rows of features to a function
            that gives the cluster of any rows.
        groups: rows that belong together, resampled together.
        resamples: bootstrap resamples behind the intervals.
        refits: how often the clustering is fitted anew.
        confidence: level of the intervals.
        seed: of everything random.

    Raises:
        InvalidInput: there is no row, a feature is not finite, or shapes differ.
    """
    given = np.asarray(matrix, dtype=np.float64)
    if given.ndim != 2 or len(given) != len(labels) or not np.isfinite(given).all():
        raise InvalidInput(
            f"expected finite features (rows, features) and a label each; got {given.shape} and "
            f"{len(labels)} labels"
        )
    resampling = Resampling.of(
        len(given), groups=groups, resamples=resamples, confidence=confidence, seed=seed
    )
    names, codes = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    inside = np.flatnonzero(names[codes] != noise)
    clusters, counts = np.unique(codes[inside], return_counts=True)
    place = np.searchsorted(clusters, codes[inside])
    figures: dict[str, float | None] = {}
    found: dict[str, Interval] = {}
    rows = np.empty(0, dtype=np.int64)
    widths = np.empty(0)
    if 2 <= len(clusters) < len(inside):
        measure = SeparationMeasure(given[inside] - given[inside].mean(axis=0), place)
        rows = _sample(inside, seed)
        # Rows of a sample may leave a cluster alone with itself.
        if len(np.unique(codes[rows])) < 2:
            rows = inside
        widths = silhouette_samples(given[rows], codes[rows])
        whole = _within(inside, rows, measure, widths)
        figures |= {n: _known(v[0]) for n, v in whole(resampling.once()).items()}
        found |= intervals(resampling.draws(whole), confidence)
    if known is not None:
        _, told = np.unique(np.asarray(known).astype(str), return_inverse=True)
        agreement = AgreementMeasure(codes, told)
        figures |= {n: _known(v[0]) for n, v in agreement(resampling.once()).items()}
        found |= intervals(resampling.draws(agreement), confidence)
    if fit is not None:
        rows_of = _sample(np.arange(len(given)), seed)
        part = Resampling(unit_codes(resampling.units[rows_of]), seed=seed)
        drawn = stability(fit, given[rows_of], codes[rows_of], resampling=part, refits=refits)
        figures["stability"] = float(drawn.mean())
        ends = interval(drawn, confidence)
        found |= {} if ends is None else {"stability": ends}
    return ClusteringEvaluation(
        silhouette=figures.get("silhouette"),
        davies_bouldin=figures.get("davies_bouldin"),
        calinski_harabasz=figures.get("calinski_harabasz"),
        stability=figures.get("stability"),
        adjusted_rand=figures.get("adjusted_rand"),
        mutual_information=figures.get("mutual_information"),
        noise=1 - len(inside) / len(given),
        sampled=len(rows),
        rows=len(given),
        groups=None if groups is None else resampling.count,
        confidence=confidence,
        intervals=found,
        clusters=[
            _cluster(str(names[clusters[n]]), int(counts[n]), widths[codes[rows] == clusters[n]])
            for n in np.argsort(-counts, kind="stable")
        ],
    )


def stability(
    fit: Callable[[Floats], Callable[[Floats], Any]],
    matrix: Floats,
    labels: Sequence[Any] | NDArray[Any],
    *,
    resampling: Resampling,
    refits: int = 20,
) -> Floats:
    """Return the adjusted Rand index of clusterings of resampled rows with the labels (refits,).

    Args:
        fit: from rows of features to a function that gives the cluster of any rows.
        matrix: all rows (rows, features).
        labels: the cluster of each.
        resampling: which rows are drawn; as many times as ``refits`` says.
        refits: how often the clustering is fitted anew.
    """
    drawn = Resampling(resampling.units, resampling.block, refits, seed=resampling.seed)
    indices = [
        adjusted_rand_score(labels, fit(np.repeat(matrix, row.astype(int), axis=0))(matrix))
        for weights in drawn.weights()
        for row in weights
    ]
    return np.array(indices)


def _within(
    inside: Codes, rows: Codes, measure: SeparationMeasure, widths: Floats
) -> Callable[[Floats], dict[str, Floats]]:
    """The measure of all rows by those that are in a cluster, and those that were sampled."""

    def of(weights: Floats) -> dict[str, Floats]:
        drawn = weights[:, rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            silhouette = drawn @ widths / drawn.sum(axis=1)
        return {"silhouette": silhouette, **measure(weights[:, inside])}

    return of


def _sample(inside: Codes, seed: int) -> Codes:
    if len(inside) <= _MOST:
        return inside
    return np.sort(np.random.default_rng(seed).choice(inside, _MOST, replace=False))


def _cluster(label: str, rows: int, widths: Floats) -> ClusterFigures:
    if not len(widths):
        return ClusterFigures(label, rows, None, [])
    return ClusterFigures(label, rows, float(widths.mean()), np.quantile(widths, _SHARES).tolist())


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
