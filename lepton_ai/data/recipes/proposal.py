"""Proposal: a recipe from what the data show, each step with its reason, for a person to edit."""

from typing import Any

import polars as pl

from lepton_ai.data.recipes.clean import Deduplicate, DropColumns
from lepton_ai.data.recipes.dates import ParseDates
from lepton_ai.data.recipes.engines import opened
from lepton_ai.data.recipes.impute import Impute
from lepton_ai.data.recipes.normalise import Rare, Tidy
from lepton_ai.data.recipes.outliers import Outliers
from lepton_ai.data.recipes.recipe import Recipe

__all__ = ["propose_recipe"]

_SAMPLE = 200_000
_DATE = r"^([12][0-9]{3}-[01][0-9]-[0-3][0-9]|[0-3][0-9]\.[01][0-9]\.[12][0-9]{3})$"


def propose_recipe(data: Any, target: str | None = None) -> Recipe:
    """Return a recipe for data as they are: what to clean, fill and tidy, and why.

    The proposal looks at the first 200,000 rows. It is not fitted; edit it with ``then`` and
    ``without``, then fit it on training rows.

    Args:
        data: as `Recipe.fit` takes it.
        target: a column that no step touches.
    """
    frame, _, _ = opened(data)
    sample: pl.DataFrame = frame.head(_SAMPLE).collect("polars").to_native()
    rows = sample.height
    steps: list[tuple[Any, str]] = []
    texts = [n for n, kind in sample.schema.items() if kind == pl.String and n != target]
    twice = int(sample.is_duplicated().sum())
    if twice:
        steps.append((Deduplicate(), f"{twice:,} of {rows:,} rows occur more than once"))
    messy = [n for n in texts if _messy(sample[n])]
    if messy:
        steps.append((Tidy(columns=tuple(messy)), f"{_named(messy)} hold stray blanks or marks"))
    dates = [n for n in texts if sample[n].drop_nulls().str.contains(_DATE).all() and rows]
    dates = [n for n in dates if sample[n].count()]
    if dates:
        steps.append((ParseDates(columns=tuple(dates)), f"{_named(dates)} hold dates as text"))
    gone = [
        n
        for n in sample.columns
        if n != target
        and rows
        and (sample[n].null_count() > 0.6 * rows or sample[n].n_unique() < 2)
    ]
    if gone:
        steps.append((DropColumns(columns=tuple(gone)), f"{_named(gone)} are empty or constant"))
    numbers = [
        n for n, k in sample.schema.items() if k.is_numeric() and n != target and n not in gone
    ]
    wild = [n for n in numbers if _wild(sample[n])]
    if wild:
        reason = f"{_named(wild)} hold values far outside the quartiles"
        steps.append((Outliers(columns=tuple(wild), width=3.0), reason))
    gaps = [n for n in numbers if sample[n].null_count()]
    if gaps:
        steps.append((Impute(columns=tuple(gaps)), f"{_named(gaps)} have gaps"))
    words = [n for n in texts if n not in gone and n not in dates]
    holes = [n for n in words if sample[n].null_count()]
    if holes:
        step = Impute(columns=tuple(holes), method="constant", value="unknown")
        steps.append((step, f"{_named(holes)} have gaps"))
    many = [n for n in words if 30 < sample[n].n_unique() < 0.5 * rows]
    if many:
        steps.append((Rare(columns=tuple(many)), f"{_named(many)} have many rare categories"))
    return Recipe(tuple(step for step, _ in steps), tuple(why for _, why in steps))


def _messy(values: pl.Series) -> bool:
    known = values.drop_nulls()
    stripped = known.str.strip_chars().str.replace_all(r"\s+", " ")
    return bool((stripped != known).any() or stripped.is_in(["", "-", "?", "n/a", "N/A"]).any())


def _wild(values: pl.Series) -> bool:
    known = values.drop_nulls().cast(pl.Float64).drop_nans()
    if known.len() < 20 or known.n_unique() < 10:
        return False
    low, high = known.quantile(0.25, "linear"), known.quantile(0.75, "linear")
    assert low is not None
    assert high is not None
    reach = 3 * (high - low)
    return bool(reach and ((known < low - reach) | (known > high + reach)).any())


def _named(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
