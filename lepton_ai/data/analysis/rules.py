"""association_rules: which values come together more often than by chance."""

import os
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.data.analysis.columns import Column, LeftOut, number_bins, usable
from lepton_ai.data.analysis.counting import counted
from lepton_ai.data.analysis.lines import aligned
from lepton_ai.data.analysis.result import Result
from lepton_ai.data.analysis.source import Source
from lepton_ai.storage import Workspace

__all__ = ["AssociationRules", "Rule", "association_rules"]

_MOST_ITEMS = 500
_MOST_RULES = 10_000
_MORE = 1.02
_FEW = 6  # different numbers that are items as they are


class Rule(Struct, frozen=True):
    """Rows that have the one often have the other.

    Attributes:
        when: values, such as ``checking = none``.
        then: what they often come with.
        support: the share of all rows that have both.
        confidence: the share of the rows with ``when`` that have ``then``.
        lift: how many times as often as among all rows.
        rows: how many have both.
    """

    when: tuple[str, ...]
    then: tuple[str, ...]
    support: float
    confidence: float
    lift: float
    rows: int


class AssociationRules(Result, frozen=True, eq=False):
    """Rules, those with the highest lift first; they print as a table."""

    rules: tuple[Rule, ...]
    items: int
    left_out: tuple[LeftOut, ...]

    @property
    def telling(self) -> list[Rule]:
        """The rules that say more than a shorter one: whose lift is higher by 2% at least."""
        lifts = {(rule.when, rule.then): rule.lift for rule in self.rules}
        return [
            rule
            for rule in self.rules
            if not any(
                lifts.get((part, rule.then), 0.0) > rule.lift / _MORE
                for size in range(1, len(rule.when))
                for part in combinations(rule.when, size)
            )
        ]

    def to_polars(self) -> pl.DataFrame:
        """Return a row for each rule."""
        rows = [
            (list(r.when), list(r.then), r.support, r.confidence, r.lift, r.rows)
            for r in self.rules
        ]
        texts = pl.List(pl.String)
        schema: dict[str, Any] = {
            "when": texts, "then": texts, "support": pl.Float64, "confidence": pl.Float64,
            "lift": pl.Float64, "rows": pl.Int64,
        }  # fmt: skip
        return pl.DataFrame(rows, schema=schema, orient="row")

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the lift of each rule as bars, at most 30."""
        from lepton_ai.data.analysis.plots import bars

        rules = self.telling
        names = [f"{' and '.join(r.when)} → {' and '.join(r.then)}" for r in rules]
        return bars(names, [r.lift for r in rules], "rules", "lift", path)

    def cells(self, most: int = 50) -> list[list[str]]:
        """Return the rows of the table that is printed."""
        return [
            [
                " and ".join(r.when),
                " and ".join(r.then),
                f"{r.support:.3f}",
                f"{r.confidence:.2f}",
                f"{r.lift:.2f}",
            ]
            for r in self.telling[:most]
        ]

    def text(self) -> str:
        """Return what is printed."""
        title = (
            f"{self.subject}: {len(self.rules):,} rules of {self.items:,} values; {self.sampled}"
        )
        more = len(self.rules) - len(self.telling)
        title += f"; {more:,} that say no more than a shorter one are not shown" if more else ""
        if not self.rules:
            return f"{title}\n\nno rule: ask for less support, confidence or lift"
        return f"{title}\n\n{aligned(HEAD, self.cells(30), numbers=(2, 3, 4), widest=70)}"

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.page import picture, table

        more = len(self.rules) - len(self.telling)
        said = f"<p>{more:,} rules that say no more than a shorter one are not shown</p>"
        shown = table(HEAD, self.cells(), numbers=(2, 3, 4)) + picture(self.plot())
        return shown + (said if more else "")


HEAD = ["when", "then", "support", "confidence", "lift"]


def association_rules(
    data: Any,
    *,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    support: float = 0.05,
    confidence: float = 0.6,
    lift: float = 1.1,
    longest: int = 3,
    rows: int = 100_000,
    seed: int = 0,
    workspace: Workspace | None = None,
) -> AssociationRules:
    """Find values that come together: up to three by counting all, more by FP-growth.

    Each value of a category is an item; numbers are cut into three ranges of as many rows. Missing
    values are no items. A column of lists is a basket: each of its members is an item.
    At most 10,000 rules are returned, those with the highest lift.

    Args:
        data: a table, a dataset's name, a frame.
        target: only rules that lead to values of this column.
        columns: only these.
        support: the least share of rows that a rule is true of.
        confidence: the least share of the rows with the one side that have the other.
        lift: how many times as often as by chance, at least.
        longest: items of a rule, both sides together.
        rows: the most that are looked at; of more, so many are drawn at random.
        seed: for that draw.
        workspace: where a name is looked up.

    Raises:
        InvalidInput: a share is not between 0 and 1, or there are no items, or too many.
        MissingExtra: ``longest`` is over 3, and mlxtend is not installed.
    """
    if not (0 < support <= 1 and 0 < confidence <= 1 and longest >= 2):
        raise InvalidInput(
            f"support={support} and confidence={confidence} are shares between 0 and 1, "
            f"longest={longest} is 2 or more"
        )
    source = Source(data, workspace)
    source.check([target] if target is not None else [])
    sample = source.sample(rows, seed, columns)
    baskets = [c for c in sample.frame if c.dtype.base_type() in (pl.List, pl.Array)]
    found, left = usable(sample.frame.drop([c.name for c in baskets]), source.whole)
    items = [item for column in found for item in _items(column)]
    items += [item for basket in baskets for item in _members(basket, support)]
    items = [item for item in items if item[2].mean() >= support]
    if not items:
        raise InvalidInput(
            f"no value is in {support:.1%} of the rows; ask for less support, such as "
            f"support={support / 10:g}"
        )
    if len(items) > _MOST_ITEMS:
        raise InvalidInput(
            f"{len(items):,} values are too many to combine; name columns=[...] or ask for more "
            f"support than {support:g}"
        )
    truth = np.column_stack([item[2] for item in items])
    least = (support, confidence, lift)
    made = (_short if longest <= 3 else _long)(truth, items, target, least, longest)
    return AssociationRules(source.name, sample.note, tuple(made), len(items), left)


Item = tuple[str, str, Any]  # the column, the value in words, and which rows have it


def _items(column: Column) -> list[Item]:
    if column.numeric and column.different > _FEW:
        codes, names = number_bins(column.values, 3)
        words = [f"{column.name} {name}" for name in names]
    else:
        codes, names = column.codes, column.categories
        words = [f"{column.name} = {name}" for name in names]
    return [(column.name, word, codes == place) for place, word in enumerate(words)]


def _members(basket: pl.Series, support: float) -> list[Item]:
    members = (
        pl.DataFrame({"row": range(basket.len()), "item": basket}).explode("item").drop_nulls()
    )
    counts = members.unique().group_by("item").agg(pl.len()).sort("item")
    common = counts.filter(pl.col("len") >= support * basket.len())["item"]
    found = []
    for member in common:
        there = np.zeros(basket.len(), dtype=bool)
        there[members.filter(pl.col("item") == member)["row"].to_numpy()] = True
        found.append((f"{basket.name}: {member}", str(member), there))
    return found


Truth = NDArray[np.bool_]
Least = tuple[float, float, float]


def _short(
    truth: Truth, items: Sequence[Item], target: str | None, least: Least, longest: int
) -> list[Rule]:
    """Return the rules of two or three values."""
    goals = [place for place, item in enumerate(items) if target in (None, item[0])]
    found = counted(truth, goals, longest=longest, least=least, most=_MOST_RULES)
    made = [
        _rule(items, [at for at in (one, two) if at >= 0], then, rows, sure, times, len(truth))
        for (one, two, then), rows, sure, times in zip(*map(_listed, found), strict=True)
    ]
    return _sorted(made)


def _listed(values: NDArray[Any]) -> list[Any]:
    return list(values.tolist())


def _long(
    truth: Truth, items: Sequence[Item], target: str | None, least: Least, longest: int
) -> list[Rule]:
    """Return the rules of any length, with one value on the right side; more would say it twice."""
    fpgrowth = load("mlxtend.frequent_patterns:fpgrowth", extra="analysis")
    pandas = load("pandas", extra="analysis")
    support, confidence, lift = least
    frame = pandas.DataFrame(truth, columns=range(len(items)))
    # A share of exactly the least one is enough, whatever it is when multiplied and rounded up.
    sets = fpgrowth(frame, min_support=support * (1 - 1e-12), max_len=longest)
    # Whole numbers, so that what is exactly as much as was asked for is not lost to rounding.
    counts = {
        frozenset(map(int, chosen)): round(share * len(truth))
        for share, chosen in zip(sets["support"], sets["itemsets"], strict=True)
    }
    found = []
    for chosen, rows in counts.items():
        for then in chosen if len(chosen) > 1 else ():
            when = chosen - {then}
            if target is not None and items[then][0] != target:
                continue
            sure = rows / counts[when]
            times = sure / (counts[frozenset([then])] / len(truth))
            if sure >= confidence and times >= lift:
                found.append(_rule(items, when, then, rows, sure, times, len(truth)))
    return _sorted(found)[:_MOST_RULES]


def _rule(
    items: Sequence[Item],
    when: Iterable[int],
    then: int,
    rows: int,
    sure: float,
    times: float,
    size: int,
) -> Rule:
    words = tuple(sorted(items[place][1] for place in when))
    return Rule(words, (items[then][1],), rows / size, sure, times, rows)


def _sorted(rules: list[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda rule: (-rule.lift, -rule.support, rule.when, rule.then))
