"""Cleaning: duplicates, gaps and values that cannot be."""

from typing import Any, ClassVar, Literal, Self

import msgspec
import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import Frame, Step, present, statistics, textual

__all__ = ["Deduplicate", "DropColumns", "DropMissing", "FuzzyDuplicates", "Invalid"]


class Deduplicate(Step, frozen=True, kw_only=True, tag="deduplicate"):
    """Keep one row of each set of equal ones.

    Attributes:
        columns: that must be equal; all unless named.
        keep: ``any`` is fastest; ``first`` and ``last`` need an order.
        order: the columns that say which is first.
    """

    rows: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    keep: Literal["any", "first", "last"] = "any"
    order: tuple[str, ...] = ()

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without duplicates."""
        subset = present(frame, self.columns, "Deduplicate") or None
        if self.keep == "any":
            return frame.unique(subset=subset, keep="any")
        if not self.order:
            raise InvalidInput(
                f"Deduplicate(keep={self.keep!r}) needs an order: order=('updated_at',)"
            )
        return frame.unique(subset=subset, keep=self.keep, order_by=list(self.order))

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"keep one of equal rows, by {', '.join(self.columns) or 'all columns'}"


class FuzzyDuplicates(Step, frozen=True, kw_only=True, tag="fuzzy_duplicates"):
    """Keep the first of rows whose text is nearly the same, such as names with typing errors.

    Rows are compared within blocks only, by the Jaro-Winkler similarity (Winkler 1990).

    Attributes:
        column: the text that is compared.
        within: columns that must be equal, so that not all pairs are compared.
        similarity: 0 to 1; from this on, two are the same.
    """

    rows: ClassVar[bool] = True
    column: str
    within: tuple[str, ...] = ()
    similarity: float = 0.92

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without near duplicates; the first of each set stays."""
        import polars as pl
        from rapidfuzz import process
        from rapidfuzz.distance import JaroWinkler

        present(frame, [self.column, *self.within], "FuzzyDuplicates")
        whole = frame.collect("polars").to_native()
        keep = [True] * whole.height
        places = whole.with_row_index("_place")
        groups = (
            places.group_by(self.within, maintain_order=True) if self.within else [((), places)]
        )
        for _, group in groups:
            texts = [("" if text is None else str(text).casefold()) for text in group[self.column]]
            kept: list[str] = []
            for place, text in zip(group["_place"], texts, strict=True):
                hit = text and process.extractOne(
                    text, kept, scorer=JaroWinkler.similarity, score_cutoff=self.similarity
                )
                if hit:
                    keep[place] = False
                elif text:
                    kept.append(text)
        left: Frame = nw.from_native(whole.filter(pl.Series(keep, dtype=pl.Boolean)).lazy())
        return left

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"keep one of rows whose {self.column} is alike from {self.similarity} on"


class DropMissing(Step, frozen=True, kw_only=True, tag="drop_missing"):
    """Remove rows in which one of the columns, or with ``all`` each of them, is empty."""

    rows: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    how: Literal["any", "all"] = "any"

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without such rows."""
        names = present(frame, self.columns, "DropMissing") or frame.collect_schema().names()
        gaps = [nw.col(name).is_null() for name in names]
        join = nw.any_horizontal if self.how == "any" else nw.all_horizontal
        return frame.filter(~join(*gaps, ignore_nulls=False))

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"drop rows where {self.how} of {', '.join(self.columns) or 'the columns'} is empty"


class DropColumns(Step, frozen=True, kw_only=True, tag="drop_columns"):
    """Leave columns out: named ones, and those that are emptier than a share or constant."""

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    missing_above: float | None = None
    constant: bool = False
    dropped: tuple[str, ...] = ()

    def fit(self, frame: Frame) -> Self:
        """Learn which columns go."""
        names = frame.collect_schema().names()
        gone = [name for name in self.columns if name in names]
        wanted: dict[str, nw.Expr] = {"rows": nw.len()}
        for place, name in enumerate(names):
            wanted[f"n{place}"] = nw.col(name).count()
            if self.constant:
                wanted[f"u{place}"] = nw.col(name).n_unique()
        if self.missing_above is not None or self.constant:
            found = statistics(frame, wanted)
            for place, name in enumerate(names):
                share = 1 - found[f"n{place}"] / max(found["rows"], 1)
                empty = self.missing_above is not None and share > self.missing_above
                same = self.constant and found[f"u{place}"] <= 1
                if (empty or same) and name not in gone:
                    gone.append(name)
        return msgspec.structs.replace(self, dropped=tuple(gone))

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without them."""
        names = frame.collect_schema().names()
        return frame.drop([name for name in self.dropped if name in names])

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"leave out {', '.join(self.dropped or self.columns) or 'nothing'}"


class Invalid(Step, frozen=True, kw_only=True, tag="invalid"):
    """Empty the values that cannot be, or drop their rows.

    Attributes:
        column: where.
        low: the least that can be; so is ``high`` the most.
        pattern: a regular expression that text must match.
        values: the only values there are.
        action: ``null`` empties the value, ``drop`` removes the row.
    """

    column: str
    low: float | None = None
    high: float | None = None
    pattern: str | None = None
    values: tuple[Any, ...] = ()
    action: Literal["null", "drop"] = "null"

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without such values."""
        present(frame, [self.column], "Invalid")
        column = nw.col(self.column)
        wrong: list[nw.Expr] = []
        if self.low is not None:
            wrong.append(column < self.low)
        if self.high is not None:
            wrong.append(column > self.high)
        if self.pattern is not None:
            textual(frame, [self.column], "Invalid(pattern=...)")
            wrong.append(~column.str.contains(self.pattern))
        if self.values:
            wrong.append(~column.is_in(list(self.values)))
        if not wrong:
            raise InvalidInput(
                f"Invalid(column={self.column!r}) says nothing that would be wrong; give low, "
                "high, pattern or values"
            )
        bad = nw.any_horizontal(*wrong, ignore_nulls=True)
        if self.action == "drop":
            return frame.filter(~(bad & ~column.is_null()))
        return frame.with_columns(
            nw.when(~bad).then(column).otherwise(nw.lit(None)).alias(self.column)
        )

    def explain(self) -> str:
        """Return a sentence on the step."""
        what = [
            f"{word} {value}"
            for word, value in (
                ("below", self.low), ("above", self.high), ("not like", self.pattern),
                ("none of", self.values or None),
            )
            if value is not None
        ]  # fmt: skip
        done = "empty" if self.action == "null" else "drop rows with"
        return f"{done} values of {self.column} {' or '.join(what)}"
