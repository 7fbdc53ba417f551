"""Proposal: a recipe from what the data show, each step with its reason, for a person to edit."""

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.clean import Deduplicate, DropColumns
from lepton_ai.data.recipes.dates import DateParts, ParseDates
from lepton_ai.data.recipes.engines import opened
from lepton_ai.data.recipes.impute import Impute
from lepton_ai.data.recipes.invalid import Convert
from lepton_ai.data.recipes.normalise import Rare, Tidy
from lepton_ai.data.recipes.outliers import Outliers
from lepton_ai.data.recipes.recipe import Recipe
from lepton_ai.data.recipes.scale import Scale

__all__ = ["propose_recipe"]

_SAMPLE = 200_000
_FEW = 20  # below so many rows, little can be said of their distribution
_MEANT_EMPTY = ["", "-", "?", "n/a", "N/A", "null", "NULL"]
_MANY = {"has": "have", "holds": "hold", "is": "are", "writes": "write"}
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?$"
# The pattern that tells a form, and the form.
_DATES = {
    r"^[12][0-9]{3}-[01][0-9]-[0-3][0-9]$": "%Y-%m-%d",
    r"^[0-3][0-9]\.[01][0-9]\.[12][0-9]{3}$": "%d.%m.%Y",
    r"^[01][0-9]/[0-3][0-9]/[12][0-9]{3}$": "%m/%d/%Y",
    r"^[0-3][0-9]/[01][0-9]/[12][0-9]{3}$": "%d/%m/%Y",
    r"^[12][0-9]{3}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]$": "%Y-%m-%d %H:%M:%S",
    r"^[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]$": "%Y-%m-%dT%H:%M:%S",
}


def propose_recipe(data: Any, target: str | None = None) -> Recipe:
    """Return a recipe for data as they are: what to clean, fill and tidy, and why.

    The proposal looks at the first 200,000 rows. It is not fitted; edit it with ``insert``,
    ``replace``, ``without`` and ``then``, then fit it on training rows.

    Args:
        data: as `Recipe.fit` takes it.
        target: a column that no step touches. With one, columns that identify rows are left
            out, skewed ones brought to a logarithm, and dates to numbers, as a model needs it.
    """
    frame, _, _ = opened(data)
    sample: pl.DataFrame = frame.head(_SAMPLE).collect("polars").to_native()
    if target is not None and target not in sample.columns:
        raise InvalidInput(f"target={target!r} is no column; there are {sample.columns}")
    return _Proposal(sample, target).recipe()


class _Proposal:
    """Steps and reasons, as they are found; ``frame`` is the sample after the steps so far."""

    def __init__(self, frame: pl.DataFrame, target: str | None) -> None:
        self.frame = frame
        self.target = target
        self.steps: list[tuple[Any, str]] = []

    def recipe(self) -> Recipe:
        rows, twice = self.frame.height, int(self.frame.is_duplicated().sum())
        if twice:
            self._add(Deduplicate(), f"{twice:,} of {rows:,} rows occur more than once")
        self._texts()
        self._columns()
        self._numbers()
        self._categories()
        return Recipe(tuple(s for s, _ in self.steps), tuple(why for _, why in self.steps))

    def _add(self, step: Any, why: str) -> None:
        self.steps.append((step, why))
        self.frame = Recipe((step,)).fit_apply(self.frame)[1]

    def _of(self, fits: Any) -> list[pl.Series]:
        return [c for c in self.frame if c.name != self.target and fits(c.dtype)]

    def _texts(self) -> None:
        """Tidy text, and read numbers and dates that are written in it."""
        texts = self._of(lambda kind: kind == pl.String)
        messy = [c.name for c in texts if _messy(c)]
        cased = [c.name for c in texts if _cased(c)]
        if cased:
            why = f"{_named(cased, 'writes')} the same words in different case"
            self._add(Tidy(columns=tuple(cased), case="lower"), why)
        if rest := [name for name in messy if name not in cased]:
            why = f"{_named(rest, 'holds')} stray blanks or marks for nothing"
            self._add(Tidy(columns=tuple(rest)), why)
        known = {c.name: c.drop_nulls() for c in self._of(lambda kind: kind == pl.String)}
        known = {name: values for name, values in known.items() if values.len()}
        forms = {name: _form(values) for name, values in known.items()}
        for form in dict.fromkeys(form for form in forms.values() if form):
            names = [name for name, found in forms.items() if found == form]
            why = f"{_named(names, 'holds')} dates as text"
            self._add(ParseDates(columns=tuple(names), formats=(form,)), why)
        numbers = [
            name
            for name, values in known.items()
            if not forms[name] and values.str.contains(_NUMBER).sum() >= 0.95 * values.len()
        ]
        # A code with a leading zero is no number.
        numbers = [n for n in numbers if not known[n].str.contains(r"^0[0-9]").any()]
        if numbers:
            self._add(
                Convert(columns=tuple(numbers)), f"{_named(numbers, 'holds')} numbers as text"
            )

    def _columns(self) -> None:
        """Leave out columns of no use."""
        rows = self.frame.height
        columns = self._of(lambda _: True) if rows else []
        # Of one row, any value is the only one.
        gone = [c.name for c in columns if c.n_unique() == 1 < rows or c.null_count() == rows]
        if 0 < len(gone) < self.frame.width:
            why = f"{_named(gone, 'holds')} one value, or none, in all rows"
            self._add(DropColumns(columns=tuple(gone)), why)
        bare = [c.name for c in columns if c.null_count() > 0.6 * rows and c.name not in gone]
        if bare:
            self._add(DropColumns(columns=tuple(bare)), f"{_named(bare, 'is')} mostly empty")
        if self.target is not None and rows >= _FEW:
            every = self._of(lambda kind: kind == pl.String or kind.is_integer())
            same = [c.name for c in every if c.n_unique() == rows and _identifies(c)]
            if same:
                why = (
                    f"{_named(same, 'is')} different in each row: they identify, and teach nothing"
                )
                self._add(DropColumns(columns=tuple(same)), why)

    def _numbers(self) -> None:
        """Treat outliers, gaps and skew."""
        wild = [c.name for c in self._of(_numeric) if _wild(c)]
        if wild:
            why = f"{_named(wild, 'holds')} values far outside the quartiles"
            self._add(Outliers(columns=tuple(wild), width=3.0), why)
        gaps = [c for c in self._of(_numeric) if 0 < c.null_count() < c.len()]
        if gaps:
            share = max(c.null_count() for c in gaps) / self.frame.height
            names = tuple(c.name for c in gaps)
            flag = self.target is not None and share > 0.05
            why = f"{_named(names, 'has')} gaps, in up to {share:.1%} of the rows"
            self._add(Impute(columns=names, flag=flag), why)
        if self.target is not None:
            skewed = [c.name for c in self._of(_numeric) if _skewed(c)]
            if skewed:
                why = f"{_named(skewed, 'has')} a long tail"
                self._add(Scale(columns=tuple(skewed), method="log"), why)
            for column in self._of(lambda kind: kind in (pl.Date, pl.Datetime)):
                why = f"{column.name} is a date, whose parts a model can use"
                self._add(DateParts(column=column.name, keep=False), why)

    def _categories(self) -> None:
        """Fill gaps of text, and put rare categories together."""
        texts = self._of(lambda kind: kind == pl.String)
        holes = [c.name for c in texts if 0 < c.null_count() < c.len()]
        if holes:
            step = Impute(columns=tuple(holes), method="constant", value="unknown")
            self._add(step, f"{_named(holes, 'has')} gaps")
        many = [c.name for c in texts if 30 < c.n_unique() < 0.5 * self.frame.height]
        if many:
            self._add(Rare(columns=tuple(many)), f"{_named(many, 'has')} many rare categories")


def _numeric(kind: Any) -> bool:
    return bool(kind.is_numeric())


def _messy(values: pl.Series) -> bool:
    known = values.drop_nulls()
    stripped = known.str.strip_chars().str.replace_all(r"\s+", " ")
    return bool((stripped != known).any() or stripped.is_in(_MEANT_EMPTY).any())


def _cased(values: pl.Series) -> bool:
    known = values.drop_nulls().str.strip_chars()
    # What is written once each is no category.
    return bool(
        known.n_unique() < 0.5 * max(known.len(), 4)
        and known.str.to_lowercase().n_unique() < known.n_unique()
    )


def _form(values: pl.Series) -> str:
    fits = (form for pattern, form in _DATES.items() if values.str.contains(pattern).all())
    return next(fits, "")


def _identifies(values: pl.Series) -> bool:
    return values.dtype == pl.String or bool((values.diff().drop_nulls() == 1).all())


def _wild(values: pl.Series) -> bool:
    known = values.drop_nulls().cast(pl.Float64)
    if known.len() < _FEW or known.n_unique() < 10:
        return False
    low, high = known.quantile(0.25, "linear"), known.quantile(0.75, "linear")
    assert low is not None
    assert high is not None
    reach = 3 * (high - low)
    return bool(reach and ((known < low - reach) | (known > high + reach)).any())


def _skewed(values: pl.Series) -> bool:
    known = values.drop_nulls().cast(pl.Float64)
    if known.len() < _FEW or known.n_unique() < 10:
        return False
    least, skew = known.min(), known.skew()
    return least is not None and float(least) >= 0 and skew is not None and skew > 2  # type: ignore[arg-type]


def _named(names: Iterable[str], verb: str) -> str:
    """Return names, the first ones at least, and what one or many of them do."""
    every: Sequence[str] = list(names)
    said = ", ".join(every[:5]) + (f" and {len(every) - 5} more" if len(every) > 5 else "")
    return f"{said} {verb if len(every) == 1 else _MANY[verb]}"
