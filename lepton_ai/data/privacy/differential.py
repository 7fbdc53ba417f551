"""Differential privacy: answers about a table that tell next to nothing of any one person.

Every answer is noised by OpenDP (The OpenDP Library, opendp.org), whose samplers are safe against
floating-point attacks, and paid for from the budget of the dataset.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.data.privacy.budget import charge
from lepton_ai.data.table import Table

__all__ = ["PrivateTable", "Release"]

_CONFIDENCE = 0.05
_CANDIDATES = 1001


class Release(Struct, frozen=True):
    """A differentially private answer.

    Attributes:
        query: what was asked.
        value: a number, or the count of each category.
        epsilon: what it cost.
        accuracy: the answer lies within so much of the clamped truth with 95 % probability; None
            where no such bound follows (quantiles, means).
        left: of the budget, by dataset.
        id: of the release's node in the lineage.
    """

    query: str
    value: Any
    epsilon: float
    accuracy: float | None
    left: dict[str, float]
    id: str


class PrivateTable:
    """A table that answers with differential privacy only.

    Args:
        table: a whole version, or a selection of columns.
        subject: the column that tells people apart; without it each row is a person.
        rows_per_subject: of a person with more rows, so many are used, chosen by chance.

    Raises:
        InvalidInput: rows were picked out, there is no such column, or less than one row a person.
        AccessDenied: whoever opened the table sees that column masked; so do answers about such.
    """

    def __init__(
        self, table: Table, subject: str | None = None, *, rows_per_subject: int = 1
    ) -> None:
        if table.rows is not None:
            # Which rows were picked may itself tell what they hold.
            raise InvalidInput(f"answers are about whole versions; this is a part of {table.ref}")
        if subject is not None and subject not in table.columns:
            raise InvalidInput(f"there is no column {subject!r}; there are {table.columns}")
        if rows_per_subject < 1:
            raise InvalidInput(f"rows_per_subject begins at 1; got {rows_per_subject}")
        if subject is not None:
            table.require([subject], "tell people apart")
        self.table = table
        self.subject = subject
        # Without a column of people each row is one, whatever was asked for.
        self.rows_per_subject = rows_per_subject if subject else 1

    def count(self, *, epsilon: float) -> Release:
        """Return the number of rows."""
        dp = _library()
        domain = dp.vector_domain(dp.atom_domain(T=int)), dp.symmetric_distance()
        ones = self._values(None, lambda frame: [1] * frame.height)
        return self._release("count", domain >> dp.t.then_count(), ones, epsilon)

    def sum(self, column: str, bounds: tuple[float, float], *, epsilon: float) -> Release:
        """Return the sum of a column, each value clamped to the bounds.

        Args:
            bounds: that hold for anyone, known before looking: data must not tell them.
        """
        dp = _library()
        low, high = _bounds(bounds)
        domain = dp.vector_domain(dp.atom_domain(T=float, nan=False)), dp.symmetric_distance()
        query = domain >> dp.t.then_clamp((low, high)) >> dp.t.then_sum()
        return self._release(f"sum({column})", query, self._numbers(column), epsilon)

    def mean(self, column: str, bounds: tuple[float, float], *, epsilon: float) -> Release:
        """Return the mean of a column: half the budget for the sum of the distances from the
        middle of the bounds, half for the count.
        """
        dp = _library()
        low, high = _bounds(bounds)
        middle = (low + high) / 2
        values = self._numbers(column)
        domain = dp.vector_domain(dp.atom_domain(T=float, nan=False)), dp.symmetric_distance()
        sums = domain >> dp.t.then_clamp((low - middle, high - middle)) >> dp.t.then_sum()
        counts = domain >> dp.t.then_count()
        parts = [self._measurement(part, epsilon / 2) for part in (sums, counts)]

        def answer() -> float:
            total = parts[0]([value - middle for value in values])
            return float(np.clip(middle + total / max(1.0, float(parts[1](values))), low, high))

        return self._pay(f"mean({column})", epsilon, answer, None)

    def quantile(
        self, column: str, share: float, bounds: tuple[float, float], *, epsilon: float
    ) -> Release:
        """Return a quantile of a column, 0.5 for the median, by the exponential mechanism.

        It is one of a thousand values that lie evenly between the bounds.
        """
        if not 0 < share < 1:
            raise InvalidInput(f"a quantile lies between 0 and 1; got {share}")
        dp = _library()
        low, high = _bounds(bounds)
        candidates = np.linspace(low, high, _CANDIDATES).tolist()
        domain = dp.vector_domain(dp.atom_domain(T=float, nan=False)), dp.symmetric_distance()
        scores = domain >> dp.t.then_quantile_score_candidates(candidates, alpha=share)

        def chooser(scale: float) -> Any:
            return scores >> dp.m.then_noisy_max(dp.max_divergence(), scale=scale, negate=True)

        scale = dp.binary_search_param(chooser, d_in=self.rows_per_subject, d_out=_checked(epsilon))
        values = self._numbers(column)
        return self._pay(
            f"quantile({column}, {share:g})",
            epsilon,
            lambda: float(candidates[chooser(scale)(values)]),
            None,
        )

    def histogram(self, column: str, categories: Sequence[str], *, epsilon: float) -> Release:
        """Return how many rows have each category.

        Args:
            categories: known before looking; what is none of them is not told.
        """
        if not categories or len(set(categories)) != len(categories):
            raise InvalidInput(f"name each category once; got {list(categories)}")
        dp = _library()
        domain = dp.vector_domain(dp.atom_domain(T=str)), dp.symmetric_distance()
        query = domain >> dp.t.then_count_by_categories([*categories], null_category=True)
        values = self._values(
            column, lambda frame: frame[column].cast(pl.String).fill_null("").to_list()
        )
        names = [*categories]
        return self._release(
            f"histogram({column})", query, values, epsilon,
            lambda counts: dict(zip(names, counts, strict=False)),
        )  # fmt: skip

    def _release(
        self,
        query: str,
        transformation: Any,
        values: list[Any],
        epsilon: float,
        shape: Callable[[Any], Any] = lambda value: value,
    ) -> Release:
        dp = _library()
        scale = self._scale(transformation, epsilon)
        measurement = transformation >> dp.m.then_laplace(scale=scale)
        accuracy = float(dp.laplacian_scale_to_accuracy(scale, _CONFIDENCE))
        return self._pay(query, epsilon, lambda: shape(measurement(values)), accuracy)

    def _measurement(self, transformation: Any, epsilon: float) -> Any:
        dp = _library()
        return transformation >> dp.m.then_laplace(scale=self._scale(transformation, epsilon))

    def _scale(self, transformation: Any, epsilon: float) -> float:
        dp = _library()
        return float(
            dp.binary_search_param(
                lambda scale: transformation >> dp.m.then_laplace(scale=scale),
                d_in=self.rows_per_subject,
                d_out=_checked(epsilon),
            )
        )

    def _pay(
        self, query: str, epsilon: float, answer: Callable[[], Any], accuracy: float | None
    ) -> Release:
        workspace = self.table.workspace
        version = self.table.dataset
        budgets = charge(workspace, version, _checked(epsilon), query)
        value = answer()
        left = {budget.dataset: budget.left for budget in budgets}
        with workspace.transaction() as transaction:
            node = transaction.node(
                "release",
                self.table.name,
                facts={"query": query, "epsilon": epsilon, "value": value, "accuracy": accuracy},
                parents=[(self.table.record().id, "data")],
            )
        return Release(query, value, epsilon, accuracy, left, node.id)

    def _numbers(self, column: str) -> list[float]:
        if column in self.table.columns:
            kind = self.table.to_polars([column]).schema[column]
            if not (kind.is_numeric() or kind == pl.Boolean):
                raise InvalidInput(f"column {column!r} holds {kind}, not numbers")

        def read(frame: pl.DataFrame) -> list[float]:
            values = frame[column].cast(pl.Float64)
            return values.filter(values.is_not_null() & values.is_not_nan()).to_list()

        return self._values(column, read)

    def _values(self, column: str | None, read: Callable[[pl.DataFrame], list[Any]]) -> list[Any]:
        """Return the values to use: of each person no more rows than were agreed."""
        if column is not None and column not in self.table.columns:
            raise InvalidInput(f"there is no column {column!r}; there are {self.table.columns}")
        if column is not None:
            # Of what is masked nothing could be told, and the budget would be spent on it.
            self.table.require([column], "ask for answers")
        wanted = [name for name in (self.subject, column) if name is not None]
        frame = self.table.to_polars(wanted or self.table.columns[:1])
        if self.subject is not None:
            # Which rows stay must not follow from their values.
            order = np.random.default_rng().permutation(frame.height)
            place = pl.Series("_order", order)
            frame = frame.with_columns(place).sort("_order")
            rank = pl.int_range(pl.len()).over(self.subject)
            frame = frame.filter(rank < self.rows_per_subject)
        return read(frame)


@cache
def _library() -> Any:
    dp = load("opendp.prelude", extra="privacy")
    dp.enable_features("contrib")
    return dp


def _checked(epsilon: float) -> float:
    if not 0 < epsilon <= 100:
        raise InvalidInput(f"epsilon must be a positive number up to 100; got {epsilon}")
    return float(epsilon)


def _bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = map(float, bounds)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InvalidInput(f"bounds are two numbers, the smaller first; got {bounds}")
    return low, high
