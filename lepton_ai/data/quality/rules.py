"""Rules: what data must satisfy, as data; the table of all kinds there are."""

import msgspec
import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.words import first_line
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
    "sound",
    "stability",
]

AnyRule = (
    NotNull | Type | Range | Length | Pattern | OneOf | Unique | References | Expression | Complete
    | RowCount | Fresh | Statistic | Stable
)  # fmt: skip

_BOUNDED = (Range, Length, RowCount, Statistic)


def sound(rule: AnyRule) -> AnyRule:
    """Return a rule as it is kept, unless it can never be measured, never hold or never fail.

    Raises:
        InvalidInput: it is wrong.
    """
    try:
        text = msgspec.json.encode(rule)
        kept: AnyRule = msgspec.json.decode(text, type=AnyRule)
    except (msgspec.MsgspecError, TypeError) as error:
        raise InvalidInput(f"{rule!r} is no rule: {error}") from error
    # JSON has no number that is not finite: it would come back as no bound at all.
    if msgspec.json.decode(msgspec.json.encode(kept)) != msgspec.json.decode(text):
        raise InvalidInput(f"{rule!r}: a number of a rule is finite; leave out a bound that is not")
    _refuse_wrong(kept)
    return kept


def _refuse_wrong(rule: AnyRule) -> None:
    if isinstance(rule, Pattern):
        try:
            # Alone too: two halves in brackets may make a whole that neither is.
            pl.select(pl.lit("").str.contains(rule.pattern))
            pl.select(pl.lit("").str.contains(f"^(?:{rule.pattern})$"))
        except pl.exceptions.PolarsError as error:
            raise InvalidInput(
                f"{rule.pattern!r} is no regular expression: {first_line(error)}"
            ) from error
    if isinstance(rule, Expression):
        expression(rule.formula)
    if isinstance(rule, Unique) and not rule.key:
        raise InvalidInput("a unique rule needs the columns of a key: key=('id',)")
    if isinstance(rule, OneOf) and not rule.values:
        raise InvalidInput("a one_of rule needs values: values=('a', 'b')")
    if isinstance(rule, Fresh) and rule.hours < 0:
        raise InvalidInput(f"hours={rule.hours} of fresh is no age; give 24 for a day")
    if isinstance(rule, Stable) and rule.most < 0:
        raise InvalidInput(f"most={rule.most} of stable is below 0, which no index is")
    if isinstance(rule, Complete) and not 0 <= rule.share <= 1:
        raise InvalidInput(f"share={rule.share} of complete is no share of rows; give 0.95 for 95%")
    if isinstance(rule, _BOUNDED):
        low, high = rule.low, rule.high
        name = rule.tag()
        if high is None and not low and isinstance(rule, Length | RowCount):
            raise InvalidInput(f"a {name} rule needs a bound: low=1, high=100, or both")
        if isinstance(rule, Length | RowCount) and rule.high is not None and rule.high < 0:
            raise InvalidInput(f"high={high} of {name} is below 0, so nothing would pass")
        if low is None and high is None:
            raise InvalidInput(f"a {name} rule needs a bound: low=0, high=100, or both")
        if low is not None and high is not None and _above(low, high):
            raise InvalidInput(f"low={low} of {name} is above high={high}, so nothing would pass")


def _above(low: object, high: object) -> bool:
    try:
        return bool(low > high)  # type: ignore[operator]
    except TypeError as error:
        raise InvalidInput(f"low={low} and high={high} are of different kinds") from error
