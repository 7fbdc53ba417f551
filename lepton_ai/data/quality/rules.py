"""Rules: what data must satisfy, as data; the table of all kinds there are."""

import re

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.expression import expression
from lepton_ai.data.quality.row_rules import (
    Expression,
    Length,
    NotNull,
    OneOf,
    Pattern,
    Range,
    References,
    Type,
    Unique,
)
from lepton_ai.data.quality.rule import Context, Rule
from lepton_ai.data.quality.stability import stability
from lepton_ai.data.quality.whole_rules import Complete, Fresh, RowCount, Stable, Statistic

__all__ = [
    "AnyRule",
    "Complete",
    "Context",
    "Expression",
    "Fresh",
    "Length",
    "NotNull",
    "OneOf",
    "Pattern",
    "Range",
    "References",
    "RowCount",
    "Rule",
    "Stable",
    "Statistic",
    "Type",
    "Unique",
    "refuse_wrong",
    "stability",
]

AnyRule = (
    NotNull | Type | Range | Length | Pattern | OneOf | Unique | References | Expression | Complete
    | RowCount | Fresh | Statistic | Stable
)  # fmt: skip

_BOUNDED = (Range, Length, RowCount, Statistic)


def refuse_wrong(rule: AnyRule) -> None:
    """Refuse a rule that can never be measured, or never fails.

    Raises:
        InvalidInput: it is wrong.
    """
    if isinstance(rule, Pattern):
        try:
            re.compile(rule.pattern)
            pl.select(pl.lit("").str.contains(f"^(?:{rule.pattern})$"))
        except (re.error, pl.exceptions.PolarsError) as error:
            raise InvalidInput(f"{rule.pattern!r} is no regular expression: {error}") from error
    if isinstance(rule, Expression):
        expression(rule.formula)
    if isinstance(rule, Unique) and not rule.key:
        raise InvalidInput("a unique rule needs the columns of a key: key=('id',)")
    if isinstance(rule, Complete) and not 0 <= rule.share <= 1:
        raise InvalidInput(f"share={rule.share} of complete is no share of rows; give 0.95 for 95%")
    if isinstance(rule, _BOUNDED):
        low, high = rule.low, rule.high
        name = str(type(rule).__struct_config__.tag)
        if high is None and not low and isinstance(rule, Length | RowCount):
            raise InvalidInput(f"a {name} rule needs a bound: low=1, high=100, or both")
        if low is None and high is None:
            raise InvalidInput(f"a {name} rule needs a bound: low=0, high=100, or both")
        if low is not None and high is not None and _above(low, high):
            raise InvalidInput(f"low={low} of {name} is above high={high}, so nothing would pass")


def _above(low: object, high: object) -> bool:
    try:
        return bool(low > high)  # type: ignore[operator]
    except TypeError as error:
        raise InvalidInput(f"low={low} and high={high} are of different kinds") from error
