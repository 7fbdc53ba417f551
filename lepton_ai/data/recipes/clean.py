"""Cleaning: duplicate rows, rows with gaps, columns of no use."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import msgspec
import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import ROW, Frame, Step, all_but_hidden, hidden, present

__all__ = ["Deduplicate", "DropColumns", "DropMissing"]


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
        if subset is None and ROW in hidden():
            subset = [name for name in frame.collect_schema().names() if name != ROW]
        if self.keep == "any" and hidden() and frame.implementation.is_polars():
            # In front of a model: the same rows in the same order give the same model.
            native: Any = frame.to_native()
            ordered: Frame = nw.from_native(
                native.unique(subset=subset, keep="first", maintain_order=True)
            )
            return ordered
        if self.keep == "any":
            return frame.unique(subset=subset, keep="any")
        if not self.order:
            raise InvalidInput(
                f"Deduplicate(keep={self.keep!r}) needs an order: order=('updated_at',)"
            )
        return frame.unique(subset=subset, keep=self.keep, order_by=list(self.order))

    def reads(self) -> set[str] | None:
        """Return the columns that the step looks at."""
        return {*self.columns, *self.order} if self.columns else None

    def writes(self) -> set[str]:
        """Return no column."""
        return set()

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"keep one of equal rows, by {', '.join(self.columns) or 'all columns'}"


class DropMissing(Step, frozen=True, kw_only=True, tag="drop_missing"):
    """Remove rows in which one of the columns, or with ``all`` each of them, is empty."""

    rows: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    how: Literal["any", "all"] = "any"

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without such rows."""
        names = present(frame, self.columns, "DropMissing") or all_but_hidden(frame)
        gaps = [nw.col(name).is_null() for name in names]
        join = nw.any_horizontal if self.how == "any" else nw.all_horizontal
        return frame.filter(~join(*gaps, ignore_nulls=False))

    def reads(self) -> set[str] | None:
        """Return the columns that the step looks at."""
        return set(self.columns) or None

    def writes(self) -> set[str]:
        """Return no column."""
        return set()

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"drop rows where {self.how} of {', '.join(self.columns) or 'the columns'} is empty"


class DropColumns(Step, frozen=True, kw_only=True, tag="drop_columns"):
    """Leave columns out: named ones, and those that are emptier than a share or constant.

    Of no row nothing is learned, and of one row not what is constant.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    missing_above: float | None = None
    constant: bool = False
    dropped: tuple[str, ...] = ()

    def asks(self, frame: Frame) -> dict[str, nw.Expr] | None:
        """Ask how many values there are in each column, where that matters."""
        wanted: dict[str, nw.Expr] = {}
        if self.missing_above is not None or self.constant:
            wanted["rows"] = nw.len()
            for name in all_but_hidden(frame):
                wanted[f"known {name}"] = nw.col(name).count()
                if self.constant:
                    wanted[f"least {name}"] = nw.col(name).min()
                    wanted[f"most {name}"] = nw.col(name).max()
        present(frame, self.columns, "DropColumns")
        return wanted

    def told(self, found: Mapping[str, Any]) -> Self:
        """Learn which columns go."""
        gone = list(self.columns)
        for word, known in found.items():
            name = word.removeprefix("known ")
            if name == word or name in gone or name in hidden():
                continue
            share = 1 - known / max(found["rows"], 1) if found["rows"] else 0.0
            empty = self.missing_above is not None and share > self.missing_above
            few = found["rows"] < 2
            same = self.constant and not few and found[f"least {name}"] == found[f"most {name}"]
            if empty or same:
                gone.append(name)
        return msgspec.structs.replace(self, dropped=tuple(gone))

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without them."""
        names = frame.collect_schema().names()
        gone = [name for name in self.dropped if name in names]
        if len(gone) == len(names):
            raise InvalidInput(f"DropColumns would leave no column of {names}")
        return frame.drop(gone) if gone else frame

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"leave out {', '.join(self.dropped or self.columns) or 'nothing'}"
