"""Kinds: the types of columns of text, and the values that do not fit them.

A column is of a type if nearly all of its values are; what is not of it is rejected. Integers of
any size up to 38 digits are kept exactly. Times with an offset become moments in UTC.
"""

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["TYPES", "typed"]

# So much of a column must be of a type for the rest to be mistakes.
_NEARLY = 0.98

_OFFSET = r"(?:Z|[+-]\d{2}:?\d{2})$"
_Parse = Callable[[pl.Expr], pl.Expr]


def _integer(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Int64, strict=False)


def _large(text: pl.Expr) -> pl.Expr:
    whole = pl.when(text.str.contains(r"^[+-]?\d{1,38}$")).then(text.str.strip_prefix("+"))
    return whole.cast(pl.Decimal(38, 0), strict=False)


def _float(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Float64, strict=False)


def _boolean(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().replace_strict(
        {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
    )


def _date(text: pl.Expr) -> pl.Expr:
    return text.str.to_date("%Y-%m-%d", strict=False)


def _moment(text: pl.Expr) -> pl.Expr:
    plain = text.str.replace("T", " ", literal=True)
    forms = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M")
    return pl.coalesce(plain.str.to_datetime(form, time_unit="us", strict=False) for form in forms)


def _instant(text: pl.Expr) -> pl.Expr:
    plain = text.str.replace("T", " ", literal=True).str.replace("Z$", "+00:00")
    aware = pl.when(text.str.contains(_OFFSET)).then(plain)
    forms = ("%Y-%m-%d %H:%M:%S%.f%#z", "%d/%b/%Y:%H:%M:%S %#z")
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
    "Date": _date,
    "Datetime": _moment,
    "Instant": _instant,
    "String": _string,
}


def typed(
    frame: pl.DataFrame,
    lines: Sequence[int],
    texts: Sequence[str],
    types: Mapping[str, str],
    rejects: Rejects,
) -> pl.DataFrame:
    """Return rows of text in the types of their columns, and reject those that do not fit.

    Args:
        frame: columns of text, None where a value is missing.
        lines: where each row began; ``texts`` says how it read.
        types: of columns where they are known: names of `TYPES`.

    Raises:
        InvalidInput: ``types`` names a type or a column that there is not.
    """
    unknown = [name for name in types if name not in frame.columns]
    strange = [kind for kind in types.values() if kind not in TYPES]
    if unknown or strange:
        raise InvalidInput(
            f"types names {unknown + strange}; there are the columns {frame.columns} and the types "
            f"{list(TYPES)}"
        )
    chosen = {name: types.get(name) or _kind(frame[name]) for name in frame.columns}
    parsed = frame.select(TYPES[kind](pl.col(name)).alias(name) for name, kind in chosen.items())
    wrong = {name: (frame[name].is_not_null() & parsed[name].is_null()) for name in frame.columns}
    keep = pl.Series([True]).new_from_index(0, frame.height)
    for name, bad in wrong.items():
        for row in (bad & keep).arg_true():
            value = str(frame[name][row])[:80]
            rejects.add(
                lines[row], f"not {chosen[name]}: column {name!r} holds {value!r}", texts[row]
            )
        keep &= ~bad
    return parsed.filter(keep)


def _kind(column: pl.Series) -> str:
    values = column.drop_nulls()
    if values.is_empty():
        return "String"
    frame = values.to_frame("value")
    for name, parse in TYPES.items():
        fits = frame.select(parse(pl.col("value")).is_not_null().mean()).item()
        if fits >= _NEARLY:
            if name == "Int64" and not _all_small(values):
                continue
            # Codes such as 007 would lose their zeros.
            if name in ("Int64", "Decimal") and values.str.contains(r"^[+-]?0\d").any():
                return "String"
            # So would the last digits of a whole number, as a float.
            if name == "Float64" and values.str.contains(r"^[+-]?\d{16,}$").any():
                return "String"
            return name
    return "String"


def _all_small(values: pl.Series) -> bool:
    """Say whether no value is an integer that 64 bits cannot hold."""
    digits = values.filter(values.str.contains(r"^[+-]?\d{19,}$"))
    return bool(digits.cast(pl.Int64, strict=False).is_not_null().all())
