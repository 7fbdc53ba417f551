"""anomalies: rows that are unlike the others, each with the reasons."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.columns import Column, LeftOut, usable, worded
from lepton_ai.data.analysis.features import features_of
from lepton_ai.data.analysis.lines import aligned, share_of
from lepton_ai.data.analysis.result import Result
from lepton_ai.data.analysis.source import Source
from lepton_ai.storage import Workspace

__all__ = ["Anomalies", "Anomaly", "anomalies", "robust_z"]

_FAR = 3.5  # robust z from which a number counts as far; Iglewicz and Hoaglin, 1993
_RARE = 0.01
_FEW = 10  # different numbers of which a rare one is odd, wherever it lies
_REASONS = 4
_SEEN = 4096  # rows that each tree sees


class Anomaly(Struct, frozen=True):
    """A row that is unlike the others.

    Attributes:
        row: its number, from 0.
        score: how easily it is told from the others, 0 to 1; about 0.5 is ordinary.
        reasons: what is unusual in it, the most unusual first.
    """

    row: int
    score: float
    reasons: tuple[str, ...]


class Anomalies(Result, frozen=True, eq=False):
    """The most unusual rows, the most unusual first; it prints as a table.

    Attributes:
        places: int64, the number in the whole of each row that was looked at.
        scores: float64, the score of each of them.
        left_out: columns that took no part, and why.
    """

    rows: tuple[Anomaly, ...]
    places: NDArray[np.int64]
    scores: NDArray[np.float64]
    left_out: tuple[LeftOut, ...]

    def to_polars(self) -> pl.DataFrame:
        """Return a row for each anomaly."""
        rows = [(a.row, a.score, list(a.reasons)) for a in self.rows]
        schema: dict[str, Any] = {
            "row": pl.Int64,
            "score": pl.Float64,
            "reasons": pl.List(pl.String),
        }
        return pl.DataFrame(rows, schema=schema, orient="row")

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw how the scores are distributed, and where the anomalies begin."""
        from lepton_ai.data.analysis.plots import score_histogram

        return score_histogram(self, path)

    def cells(self, most: int = 50) -> list[list[str]]:
        """Return the rows of the table that is printed."""
        return [[f"{a.row:,}", f"{a.score:.3f}", "; ".join(a.reasons)] for a in self.rows[:most]]

    def text(self) -> str:
        """Return what is printed."""
        title = f"{self.subject}: {len(self.rows):,} unusual rows; {self.sampled}"
        lines = [f"  {row:>9}  {score}  {why}" for row, score, why in self.cells(20)]
        return "\n".join([title, "", aligned(["      row", "score"], []), *lines])

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.page import picture, table

        shown = table(["row", "score", "reasons"], self.cells(), numbers=(0, 1))
        return shown + picture(self.plot())


def anomalies(
    data: Any,
    *,
    share: float = 0.01,
    columns: Sequence[str] | None = None,
    rows: int = 200_000,
    seed: int = 0,
    workspace: Workspace | None = None,
) -> Anomalies:
    """Find the rows that are most unlike the others.

    An isolation forest scores rows by how few random cuts set them apart, which also sees unusual
    combinations of usual values. The reasons name the numbers that lie furthest from the median,
    in spreads (1.4826 times the median absolute deviation), and categories that are rare.

    Args:
        data: a table, a dataset's name, a frame.
        share: of the rows that is reported, at least one row.
        columns: only these.
        rows: the most that are looked at; of more, so many are drawn at random.
        seed: for that draw and for the forest.
        workspace: where a name is looked up.

    Raises:
        InvalidInput: there are fewer than ten rows, or no column that can be compared.
    """
    if not 0 < share <= 0.5:
        raise InvalidInput(f"share={share} is no share of rows to report; give 0.01 for 1 in 100")
    source = Source(data, workspace)
    sample = source.sample(rows, seed, columns)
    if sample.frame.height < 10:
        raise InvalidInput(
            f"what is unusual shows among ten rows or more; {source.name} has {sample.frame.height}"
        )
    found, left = usable(sample.frame, source.whole)
    if not found:
        why = "; ".join(f"{item.column} {item.reason}" for item in left[:5])
        raise InvalidInput(f"no column of {source.name} can be compared: {why}")
    scores = _forest(features_of(found).matrix, seed)
    count = max(1, round(share * scores.size))
    chosen = np.argsort(-scores, kind="stable")[:count]
    oddness = [_oddness(column) for column in found]
    items = tuple(
        Anomaly(
            int(sample.places[place]),
            float(scores[place]),
            _reasons(found, oddness, int(place)),
        )
        for place in chosen
    )
    return Anomalies(source.name, sample.note, items, sample.places, scores, left)


def robust_z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance from the median in robust spreads, NaN where missing.

    The spread is 1.4826 times the median absolute deviation; where that is 0, because over half
    of the values are equal, the mean absolute deviation times 1.2533.
    """
    distance = values - np.nanmedian(values)
    spread = 1.4826 * np.nanmedian(np.abs(distance))
    if not spread:
        spread = 1.2533 * np.nanmean(np.abs(distance))
    result: NDArray[np.float64] = distance / spread if spread else distance * 0
    return result


def _forest(matrix: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from sklearn.ensemble import IsolationForest

    # A row that a tree did not see looks like the outermost that it saw, however far it lies.
    seen = min(len(matrix), _SEEN)
    forest = IsolationForest(n_estimators=200, max_samples=seen, random_state=seed).fit(matrix)
    scores: NDArray[np.float64] = -forest.score_samples(matrix)
    return scores


def _oddness(column: Column) -> NDArray[np.float64]:
    """Return how odd each value is by itself, in spreads; 0 where it is missing."""
    if _measured(column):
        return np.nan_to_num(robust_z(column.numbers))
    codes = column.codes
    known = codes[codes >= 0]
    shares = np.bincount(known, minlength=len(column.categories)) / max(1, known.size)
    # As rare as a number so many spreads out: 1% counts as 3.5.
    odd = _FAR * np.sqrt(_RARE / np.maximum(shares, 1e-9))
    return np.where(codes >= 0, odd[codes], 0.0)


def _reasons(
    columns: Sequence[Column], oddness: Sequence[NDArray[np.float64]], place: int
) -> tuple[str, ...]:
    sizes = np.array([abs(odd[place]) for odd in oddness])
    order = np.argsort(-sizes, kind="stable")
    far = [at for at in order if sizes[at] >= _FAR][:_REASONS]
    if far:
        return tuple(_reason(columns[at], float(oddness[at][place]), place) for at in far)
    most = [at for at in order if sizes[at] > 1][:2]
    parts = ", ".join(_reason(columns[at], float(oddness[at][place]), place) for at in most)
    return (f"no single value is far out, their combination is unusual: {parts}".rstrip(": "),)


def _measured(column: Column) -> bool:
    """Say whether a value is odd by its distance; of few different ones, a rare one is odd."""
    return column.numeric and column.different > _FEW


def _reason(column: Column, odd: float, place: int) -> str:
    if not _measured(column):
        codes = column.codes
        share = share_of((codes == codes[place]).sum() / max(1, (codes >= 0).sum()))
        return f"{column.name} is {column.categories[codes[place]]!r}, as in {share} of the rows"
    shown = worded(float(column.numbers[place]), column.kind)
    side = "above" if odd > 0 else "below"
    return f"{column.name} {shown} is {abs(odd):,.1f} spreads {side} the median"
