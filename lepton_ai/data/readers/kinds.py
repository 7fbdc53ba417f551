"""Kinds: the types of columns of text, and the values that do not fit them.

All values of a column decide its type, so a file is gone through twice: once for the types, once
for the rows. Integers of up to 38 digits are kept exactly, and codes such as 007 as text. Times
with an offset become moments in UTC.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["TYPES", "Part", "Rows", "kept", "known", "typed_frames"]

# Where bad rows are kept aside, so much of a column must be of a type for the rest to be mistakes.
_NEARLY = 0.98
# A column of more other values than of text is not given up before so many were seen.
_ENOUGH = 10_000

# Years of four digits: 1-2-3 is no date, and Python has none before the year 1.
_DAY = r"^(?:[1-9]\d{3}|0\d{2}[1-9]|0\d[1-9]\d|0[1-9]\d{2})-\d{1,2}-\d{1,2}"
_OFFSET = rf"(?:{_DAY}|^\d{{2}}/).*(?:Z|[+-]\d{{2}}:?\d{{2}})$"
# A moment holds microseconds, and would lose what is finer.
_FINER = r"\.\d{6}0*[1-9]"
_Parse = Callable[[pl.Expr], pl.Expr]


def _integer(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Int64, strict=False)


def _large(text: pl.Expr) -> pl.Expr:
    whole = pl.when(text.str.contains(r"^[+-]?\d{1,38}$")).then(text.str.strip_prefix("+"))
    return whole.cast(pl.Decimal(38, 0), strict=False)


def _float(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Float64, strict=False)


def _comma(text: pl.Expr) -> pl.Expr:
    plain = pl.when(~text.str.contains(".", literal=True)).then(text)
    return _float(plain.str.replace(",", ".", literal=True))


def _boolean(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().replace_strict(
        {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
    )


def _time(text: pl.Expr) -> pl.Expr:
    whole = pl.when(text.str.contains(r"^\d{2}:\d{2}:\d{2}(\.\d{1,6})?$")).then(text)
    return whole.str.to_time("%H:%M:%S%.f", strict=False)


def _date(text: pl.Expr) -> pl.Expr:
    whole = pl.when(text.str.contains(_DAY + "$")).then(text)
    return whole.str.to_date("%Y-%m-%d", strict=False)


def _moment(text: pl.Expr) -> pl.Expr:
    fits = text.str.contains(_DAY) & ~text.str.contains(_FINER)
    plain = pl.when(fits).then(text.str.replace("T", " ", literal=True))
    forms = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
    return pl.coalesce(plain.str.to_datetime(form, time_unit="us", strict=False) for form in forms)


def _instant(text: pl.Expr) -> pl.Expr:
    plain = text.str.replace("T", " ", literal=True).str.replace("Z$", "+00:00")
    aware = pl.when(text.str.contains(_OFFSET) & ~text.str.contains(_FINER)).then(plain)
    forms = ("%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z", "%d/%b/%Y:%H:%M:%S %#z")
    return pl.coalesce(
        aware.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False) for form in forms
    )


def _string(text: pl.Expr) -> pl.Expr:
    return text


# In the order in which they are tried.
TYPES: dict[str, _Parse] = {
    "Int64": _integer,
    "Decimal": _large,
    "Float64": _float,
    "Boolean": _boolean,
    "Time": _time,
    "Date": _date,
    "Datetime": _moment,
    "Instant": _instant,
    "String": _string,
}
# Values of these kinds are of the other one too.
_INCLUDES = {
    "Decimal": ("Int64",),
    "Float64": ("Int64", "Decimal"),
    "Datetime": ("Date",),
}


class Rows(Struct, frozen=True):
    """Rows of text, with where each one began and how it read."""

    frame: pl.DataFrame
    lines: Sequence[int]
    texts: Sequence[str]


class Part(Struct, frozen=True):
    """Some rows of a file as columns of text; `located` tells their lines, where one is wrong."""

    frame: pl.DataFrame
    located: Callable[[], Rows]


def typed_frames(
    parts: Callable[[Rejects], Iterable[Part]],
    rejects: Rejects,
    *,
    types: Mapping[str, str] | None = None,
    decimal_comma: bool = False,
) -> Iterator[pl.DataFrame]:
    """Yield rows in the types of their columns; those that do not fit are rejected.

    Args:
        parts: gives the rows, twice, and rejects those that are none.
        types: of columns where they are known: names of `TYPES`.
        decimal_comma: whether 1,5 is one and a half.

    Raises:
        InvalidInput: ``types`` names a type or a column that there is not.
    """
    parse = {**TYPES, "Float64": _comma} if decimal_comma else TYPES
    surveys: dict[str, _Survey] = {}
    for part in parts(Rejects()):
        for column in part.frame.select(pl.col(pl.String)):
            survey = surveys.setdefault(column.name, _Survey())
            if column.name not in (types or {}):
                survey.add(column, parse)
    said = known(types or {}, list(surveys))
    nearly = _NEARLY if rejects.keep else 1.0
    kinds = {name: said.get(name) or survey.kind(nearly) for name, survey in surveys.items()}
    for part in parts(rejects):
        parsed = _parsed(part.frame, kinds, parse)
        if parsed.null_count().equals(part.frame.null_count()):
            yield parsed
        else:
            yield kept(part.located(), kinds, rejects, parse)


class _Survey:
    """Counts the values of a column by the first of `TYPES` that they are."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.codes = False
        self.long = False

    def add(self, column: pl.Series, parse: Mapping[str, _Parse]) -> None:
        """Count some more values."""
        total = self.counts.total()
        if total > _ENOUGH and self.counts["String"] > total / 2:
            return
        rest = column.drop_nulls().alias("value").to_frame()
        for name in TYPES:
            if rest.is_empty():
                return
            fits = rest.select(_read(pl.col("value"), name, parse).is_not_null()).to_series()
            found = int(fits.sum())
            if not found:
                continue
            self.counts[name] += found
            if name in ("Int64", "Decimal", "Float64"):
                whole = (rest if found == rest.height else rest.filter(fits))["value"]
                self.codes = self.codes or bool(whole.str.contains(r"^\s*[+-]?0\d+\s*$").any())
                self.long = self.long or bool(whole.str.contains(r"^\s*[+-]?\d{16,}\s*$").any())
            if found == rest.height:
                return
            rest = rest.filter(~fits)

    def kind(self, nearly: float) -> str:
        """Return the narrowest type that so many of the values are of."""
        need = nearly * self.counts.total()
        if not need:
            return "String"
        for name in TYPES:
            fits = self.counts[name] + sum(self.counts[other] for other in _INCLUDES.get(name, ()))
            if fits < need or (name == "Int64" and self.counts["Decimal"]):
                continue
            # Codes such as 007 would lose their zeros, and a long whole number its last digits.
            lost = {"Int64": self.codes, "Decimal": self.codes, "Float64": self.long}
            return "String" if lost.get(name) else name
        return "String"


def _read(text: pl.Expr, kind: str, parse: Mapping[str, _Parse]) -> pl.Expr:
    """Return values of a type; blanks around them are none of them."""
    return parse[kind](text if kind == "String" else text.str.strip_chars())


def _parsed(
    frame: pl.DataFrame, kinds: Mapping[str, str], parse: Mapping[str, _Parse]
) -> pl.DataFrame:
    return frame.with_columns(_read(pl.col(name), kinds[name], parse) for name in kinds)


def kept(
    rows: Rows, kinds: Mapping[str, str], rejects: Rejects, parse: Mapping[str, _Parse] = TYPES
) -> pl.DataFrame:
    """Return rows with columns of text in their types, and reject those that do not fit."""
    frame = rows.frame
    parsed = _parsed(frame, kinds, parse)
    keep = pl.Series([True]).new_from_index(0, frame.height)
    for name, kind in kinds.items():
        bad = frame[name].is_not_null() & parsed[name].is_null()
        for row in (bad & keep).arg_true():
            value = str(frame[name][row])[:80]
            rejects.add(
                rows.lines[row], f"not {kind}: column {name!r} holds {value!r}", rows.texts[row]
            )
        keep &= ~bad
    return parsed.filter(keep)


def known(types: Mapping[str, str], columns: Sequence[str]) -> Mapping[str, str]:
    """Return types of columns that there are.

    Raises:
        InvalidInput: ``types`` names a type or a column that there is not.
    """
    unknown = [name for name in types if name not in columns]
    strange = [kind for kind in types.values() if kind not in TYPES]
    if unknown or strange:
        raise InvalidInput(
            f"types names {unknown + strange}; there are the columns {list(columns)} and the types "
            f"{list(TYPES)}"
        )
    return types
