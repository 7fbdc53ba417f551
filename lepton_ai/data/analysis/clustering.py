"""clusters: rows that are alike, and what each group of them has that others have not."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.columns import Column, LeftOut, usable, worded
from lepton_ai.data.analysis.features import features_of
from lepton_ai.data.analysis.result import Result
from lepton_ai.data.analysis.source import Source
from lepton_ai.storage import Workspace

__all__ = ["Cluster", "Clusters", "Trait", "clusters"]

Method = Literal["k-means", "hdbscan"]
_MOST = 8
_JUDGED = 5000  # rows by which the number of clusters is chosen
_TRAITS = 5


class Trait(Struct, frozen=True):
    """What a cluster has more or less of than all rows.

    Attributes:
        text: in words, such as ``age: 61.2, all rows 45.3``.
        effect: for numbers the distance of the means in spreads; for a category the difference
            of its shares, in spreads of the whole's share.
    """

    column: str
    text: str
    effect: float


class Cluster(Struct, frozen=True):
    """A group of rows; ``label`` -1 is what HDBSCAN puts in no group."""

    label: int
    rows: int
    share: float
    traits: tuple[Trait, ...]


class Clusters(Result, frozen=True, eq=False):
    """Groups of alike rows, the largest first.

    Attributes:
        places: int64, the number in the whole of each row that was looked at.
        labels: int64, the cluster of each of them.
        silhouette: of each number of clusters tried; the highest was taken. 1: far apart, 0: not
            apart at all.
        points: float64 (rows, 2), the first two principal components, for a picture.
        explained: the share of the spread that each of the two has.
        left_out: columns that took no part, and why.
    """

    method: str
    groups: tuple[Cluster, ...]
    places: NDArray[np.int64]
    labels: NDArray[np.int64]
    silhouette: dict[int, float]
    points: NDArray[np.float64]
    explained: tuple[float, float]
    left_out: tuple[LeftOut, ...]

    def to_polars(self) -> pl.DataFrame:
        """Return the cluster of each row that was looked at."""
        return pl.DataFrame({"row": self.places, "cluster": self.labels})

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the rows by their first two principal components."""
        from lepton_ai.data.analysis.plots import cluster_map

        return cluster_map(self, path)

    def text(self) -> str:
        """Return what is printed."""
        best = f", silhouette {max(self.silhouette.values()):.2f}" if self.silhouette else ""
        lines = [
            f"{self.subject}: {len(self.groups)} groups by {self.method}{best}; {self.sampled}"
        ]
        if self.silhouette and max(self.silhouette.values()) < 0.1:
            lines.append("the groups are hardly apart: do not read much into them")
        for group in self.groups:
            name = "in no group" if group.label < 0 else f"cluster {group.label}"
            lines.append(f"\n{name}: {group.rows:,} rows ({group.share:.0%})")
            lines += [f"  {trait.text}" for trait in group.traits]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.page import picture, table

        return table(HEAD, self.cells(), numbers=(0, 1, 2)) + picture(self.plot())

    def cells(self) -> list[list[str]]:
        """Return a row for each cluster."""
        return [
            [str(g.label), f"{g.rows:,}", f"{g.share:.0%}", "; ".join(t.text for t in g.traits)]
            for g in self.groups
        ]


HEAD = ["cluster", "rows", "share", "what is different"]


def clusters(
    data: Any,
    k: int | None = None,
    *,
    method: Method = "k-means",
    columns: Sequence[str] | None = None,
    rows: int = 50_000,
    seed: int = 0,
    workspace: Workspace | None = None,
) -> Clusters:
    """Group rows that are alike.

    Numbers and dates are scaled, categories weighted like them; columns that are constant, name
    their rows or hold free text take no part.

    Args:
        data: a table, a dataset's name, a frame.
        k: how many groups k-means makes; unless given, that of 2 to 8 with the best silhouette.
        method: ``k-means``, or ``hdbscan``, which finds dense groups of any form and leaves the
            rest in none.
        columns: only these; leave the target out to see whether groups follow it.
        rows: the most that are looked at; of more, so many are drawn at random.
        seed: for that draw and for the start of k-means.
        workspace: where a name is looked up.

    Raises:
        InvalidInput: there are fewer than ten rows, or no column that can be compared.
    """
    if method not in ("k-means", "hdbscan"):
        raise InvalidInput(f"method={method!r}: choose 'k-means' or 'hdbscan'")
    source = Source(data, workspace)
    sample = source.sample(rows, seed, columns)
    count = sample.frame.height
    if count < 10:
        raise InvalidInput(f"groups need ten rows or more; {source.name} has {count}")
    if k is not None and not 2 <= k < count:
        raise InvalidInput(f"k={k}: make 2 groups or more, and fewer than the {count} rows")
    found, left = usable(sample.frame, source.whole)
    if not found:
        why = "; ".join(f"{item.column} {item.reason}" for item in left[:5])
        raise InvalidInput(f"no column of {source.name} can be compared: {why}")
    matrix = features_of(found).matrix
    labels, tried = _kmeans(matrix, k, seed) if method == "k-means" else (_dense(matrix), {})
    labels = _by_size(labels)
    points, explained = _plane(matrix, seed)
    names = [label for label in np.unique(labels).tolist() if label >= 0]
    if (labels < 0).any():
        names.append(-1)
    groups = [_described(found, labels == label, label) for label in names]
    return Clusters(
        source.name, sample.note, method, tuple(groups), sample.places, labels, tried, points,
        explained, left,
    )  # fmt: skip


def _kmeans(
    matrix: NDArray[np.float64], k: int | None, seed: int
) -> tuple[NDArray[np.int64], dict[int, float]]:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    different = len(np.unique(matrix, axis=0))
    if different < 2:
        raise InvalidInput("all rows are alike, so there are no groups")
    tried: dict[int, float] = {}
    best: tuple[float, Any] = (-2.0, None)
    generator = np.random.default_rng(seed)
    judged = generator.permutation(len(matrix))[:_JUDGED]
    for number in range(2, min(_MOST, different, len(matrix) - 1) + 1) if k is None else [k]:
        fitted = KMeans(min(number, different), n_init=4, random_state=seed).fit(matrix)
        part = fitted.labels_[judged]
        if not 1 < len(np.unique(part)) < len(part):
            continue
        tried[number] = float(silhouette_score(matrix[judged], part))
        best = max(best, (tried[number], fitted.labels_), key=lambda item: item[0])
    if best[1] is None:
        fitted = KMeans(2, n_init=4, random_state=seed).fit(matrix)
        return fitted.labels_.astype(np.int64), tried
    return best[1].astype(np.int64), tried


def _dense(matrix: NDArray[np.float64]) -> NDArray[np.int64]:
    from sklearn.cluster import HDBSCAN

    least = max(5, len(matrix) // 100)
    fitted = HDBSCAN(min_cluster_size=least, copy=True).fit(matrix)
    labels: NDArray[np.int64] = fitted.labels_.astype(np.int64)
    return labels


def _by_size(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return labels that count from 0, the largest group first; -1 stays."""
    names, counts = np.unique(labels[labels >= 0], return_counts=True)
    order = names[np.argsort(-counts, kind="stable")]
    new = {int(name): place for place, name in enumerate(order)}
    return np.array([new.get(int(label), -1) for label in labels], dtype=np.int64)


def _plane(
    matrix: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    from sklearn.decomposition import PCA

    parts = min(2, *matrix.shape)
    fitted = PCA(parts, random_state=seed).fit(matrix)
    points = np.zeros((len(matrix), 2))
    points[:, :parts] = fitted.transform(matrix)
    shares = [*np.nan_to_num(fitted.explained_variance_ratio_).tolist(), 0.0]
    return points, (shares[0], shares[1])


def _described(columns: Sequence[Column], inside: NDArray[np.bool_], label: int) -> Cluster:
    traits = [trait for column in columns if (trait := _trait(column, inside)) is not None]
    traits.sort(key=lambda trait: -abs(trait.effect))
    rows = int(inside.sum())
    strong = [trait for trait in traits if abs(trait.effect) > 0.25][:_TRAITS]
    return Cluster(label, rows, rows / inside.size, tuple(strong))


def _trait(column: Column, inside: NDArray[np.bool_]) -> Trait | None:
    if column.numeric:
        values = column.numbers
        known = ~np.isnan(values)
        if not (known & inside).any():
            return None
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            mean, whole = values[known & inside].mean(), values[known].mean()
            effect = float((mean - whole) / values[known].std())
        if not np.isfinite(effect):  # of a constant, or of numbers whose sum is beyond a float
            return None
        text = f"{column.name}: {_mean(column, mean)}, all rows {_mean(column, whole)}"
        return Trait(column.name, text, effect)
    codes = column.codes
    known = codes >= 0
    if not (known & inside).any():
        return None
    size = len(column.categories)
    here = np.bincount(codes[known & inside], minlength=size) / (known & inside).sum()
    whole = np.bincount(codes[known], minlength=size) / known.sum()
    effects = (here - whole) / np.sqrt(np.maximum(whole * (1 - whole), 1e-12))
    best = int(np.abs(effects).argmax())
    name = column.categories[best]
    text = f"{column.name}: {here[best]:.0%} {name!r}, all rows {whole[best]:.0%}"
    return Trait(column.name, text, float(effects[best]))


def _mean(column: Column, value: float) -> str:
    # No mean of dates is one to the second.
    return worded(round(value) if column.kind == "date" else float(value), column.kind)
