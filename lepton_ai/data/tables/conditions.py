"""Conditions: which rows are meant, written as in SQL, such as ``age >= 18 and city = 'Kyiv'``."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import sqlglot
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.expressions.parser import parse
from pyiceberg.expressions.visitors import bind
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    IntegerType,
    LongType,
    StringType,
    TimestampType,
)
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lepton_ai.core.errors import InvalidInput

__all__ = ["check_condition", "condition", "row_filter", "unfit"]

# Of these, files are left out by their bounds. Not so of floats, where nothing bounds NaN and NaN
# is greater than all numbers here, nor of types whose literals Iceberg reads otherwise.
_COMPARABLE = (BooleanType, DateType, IntegerType, LongType, StringType, TimestampType)
# What looks at other rows than its own, and how Polars calls what SQLGlot does not know.
_AROUND = (exp.AggFunc, exp.Window, exp.Query, exp.UDTF, exp.Explode)
_UNKNOWN = frozenset({"covar", "var"})


def condition(where: str) -> pl.Expr:
    """Return a condition such as ``age >= 18 and city = 'Kyiv'`` as an expression.

    Raises:
        InvalidInput: it is no SQL, or looks at more than one row.
    """
    try:
        expression = pl.sql_expr(where)
    except (pl.exceptions.PolarsError, UnicodeError) as error:
        raise InvalidInput(
            f"{where!r} is no condition: {error}; write it as in SQL, such as "
            "age >= 18 and city = 'Kyiv'"
        ) from error
    if _looks_around(where):
        # Rows are read file by file, so it would mean something else in each.
        raise InvalidInput(
            f"{where!r} looks at more than one row; compute the value first, by SQL, and write it "
            "into the condition, such as age >= 18"
        )
    return expression


def _looks_around(where: str) -> bool:
    try:
        tree = sqlglot.parse_one(where, dialect="duckdb")
    except SqlglotError:
        return False
    found = [*tree.find_all(exp.Anonymous)]
    return tree.find(*_AROUND) is not None or any(f.name.lower() in _UNKNOWN for f in found)


def check_condition(where: str, schema: Mapping[str, Any]) -> None:
    """Make sure that a condition can be asked of columns of these types.

    Raises:
        InvalidInput: it is no condition, or compares what cannot be compared.
    """
    wanted = condition(where)
    try:
        pl.DataFrame(schema=schema).filter(wanted)
    except pl.exceptions.PolarsError as error:
        raise unfit(where, error) from error


def unfit(where: str, error: pl.exceptions.PolarsError) -> InvalidInput:
    """Return what to say of a condition that rows cannot be asked for."""
    said = str(error).partition("\n")[0]
    return InvalidInput(
        f"the condition {where!r} does not fit the rows: {said}; between quotes stands text, and "
        "a date is written date '2024-05-31'"
    )


def row_filter(where: str | None, schema: Schema) -> BooleanExpression:
    """Return what Iceberg understands of a condition, to leave out files; else everything.

    Raises:
        InvalidInput: the condition is no SQL.
    """
    if where is None:
        return AlwaysTrue()
    condition(where)
    comparable = {f.name for f in schema.fields if isinstance(f.field_type, _COMPARABLE)}
    try:
        expression = parse(where)
        # Its LIKE knows % at the end and nothing else.
        if not _names(expression) <= comparable or "like" in where.lower():
            return AlwaysTrue()
        bind(schema, expression, case_sensitive=True)
    except Exception:  # its grammar is a part of SQL's, and its parser has many errors
        return AlwaysTrue()
    return expression


def _names(expression: Any) -> set[str]:
    if hasattr(expression, "left"):
        return _names(expression.left) | _names(expression.right)
    if hasattr(expression, "child"):
        return _names(expression.child)
    return {expression.term.name} if hasattr(expression, "term") else set()
