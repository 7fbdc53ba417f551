"""Expressions: formulas that people write, for any table engine; nothing is ever evaluated.

``weight / (height / 100) ** 2``, ``sum(a) / sum(b)``, ``discharge >= admission and age is not
None``: Python's own grammar, of which only what is listed here is known. A column whose name is
no word is written ``col("blood pressure")``.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.blanks import stripped

__all__ = ["AGGREGATES", "aggregates", "columns_in", "expression", "named_column", "parsed", "wide"]

_LONGEST = 10_000

_BINARY: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / _not_zero(right),
    ast.FloorDiv: lambda left, right: left // _not_zero(right),
    ast.Mod: lambda left, right: left % _not_zero(right),
    # Of whole numbers, engines answer in types of their own, some too small for the answer.
    ast.Pow: lambda left, right: _as_expression(left).cast(nw.Float64) ** right,
}


def _not_zero(value: Any) -> Any:
    """Return a divisor, empty where it is zero: some engines would stop there, others not."""
    if not isinstance(value, nw.Expr):
        if value == 0:
            raise InvalidInput("a formula divides by zero")
        return value
    return nw.when(value != 0).then(value)


def _if(value: Any, fits: Any) -> Any:
    return nw.when(fits).then(value)


def _rounded(value: nw.Expr, digits: Any = 0) -> nw.Expr:
    """Round halves to even digits, as IEEE 754 and Python: engines differ in it."""
    if not isinstance(digits, int):
        raise TypeError("digits are a whole number")
    scale = 10.0 ** abs(digits)
    scaled = value * scale if digits >= 0 else value / scale
    low = scaled.floor()
    rest = scaled - low
    up = (rest > 0.5) | ((rest == 0.5) & (low % 2 == 1))
    whole = low + up.cast(nw.Float64)
    # Larger numbers have no fraction.
    return (
        nw.when(scaled.abs() < 2**52)
        .then(whole / scale if digits >= 0 else whole * scale)
        .otherwise(value.cast(nw.Float64))
    )


def _quantile(value: nw.Expr, share: Any) -> nw.Expr:
    if not (isinstance(share, int | float) and 0 <= share <= 1):
        raise TypeError("a share lies between 0 and 1")
    return value.quantile(share, interpolation="linear")


def _whole(value: nw.Expr) -> nw.Expr:
    """Return a count as a number that can be subtracted from: engines have them without sign."""
    return value.cast(nw.Int64)


_COMPARE: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

# What can be called, and what it makes of its arguments.
FUNCTIONS: Mapping[str, Callable[..., nw.Expr]] = {
    "abs": lambda x: x.abs(),
    "sqrt": lambda x: _if(x, x >= 0).sqrt(),
    "log": lambda x: _if(x, x > 0).log(),
    "exp": lambda x: x.exp(),
    "round": _rounded,
    "floor": lambda x: x.floor(),
    "ceil": lambda x: x.ceil(),
    # Letters that become two, not on every engine by itself.
    "lower": lambda x: x.str.replace_all("İ", "i̇", literal=True).str.to_lowercase(),
    "upper": lambda x: x.str.replace_all("ß", "SS", literal=True).str.to_uppercase(),
    "strip": stripped,
    "length": lambda x: _whole(x.str.len_chars()),
    "contains": lambda x, text: x.str.contains(text, literal=True),
    "matches": lambda x, pattern: x.str.contains(pattern),
    "starts_with": lambda x, text: x.str.starts_with(text),
    "ends_with": lambda x, text: x.str.ends_with(text),
    "year": lambda x: _whole(x.dt.year()),
    "month": lambda x: _whole(x.dt.month()),
    "day": lambda x: _whole(x.dt.day()),
    "hour": lambda x: _whole(x.dt.hour()),
    "weekday": lambda x: _whole(x.dt.weekday()),
    "is_null": lambda x: x.is_null(),
    "coalesce": lambda *parts: nw.coalesce(*map(_as_expression, parts)),
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(),
    "median": lambda x: x.median(),
    "min": lambda x: x.min(),
    "max": lambda x: x.max(),
    "std": lambda x: x.std(),
    "var": lambda x: x.var(),
    "count": lambda x: _whole(x.count()),
    # Of no rows, some engines say nothing.
    "n_unique": lambda x: _whole(nw.coalesce(x.n_unique(), nw.lit(0))),
    "quantile": _quantile,
    "rows": lambda: _whole(nw.len()),
}

# Those that make one value of many rows.
AGGREGATES = frozenset(
    [
        "count", "first", "last", "max", "mean", "median", "min", "n_unique", "quantile", "rows",
        "std", "sum", "var",
    ]
)  # fmt: skip

# Of truth values, those that count them as 0 and 1.
_COUNTING = frozenset(["mean", "median", "quantile", "std", "sum", "var"])
_TRUTHS = frozenset(["contains", "ends_with", "is_null", "matches", "starts_with"])


class _Formula(NamedTuple):
    """A formula, and the types of the columns that it will see, where they are known."""

    text: str
    schema: Mapping[str, Any]


def expression(text: str, schema: Mapping[str, Any] | None = None) -> nw.Expr:
    """Return a formula as an expression that every table engine of Narwhals takes.

    Args:
        schema: the types of the columns, without which numbers are computed as narrow as they
            are kept: 100 + 100 is -56 in eight bits.

    Raises:
        InvalidInput: the formula has an error, or something that is not known here.
    """
    try:
        return _as_expression(_build(parsed(text), _Formula(text, schema or {})))
    except RecursionError as error:
        raise InvalidInput(f"{text[:40]!r}... is nested too deeply; write it shorter") from error


def wide(kind: Any) -> Any:
    """Return the type in which numbers of a type are computed: of 64 bits, with a sign."""
    if kind == nw.Float32:
        return nw.Float64()
    return nw.Int64() if kind in _NARROW else kind


_NARROW = (nw.Int8, nw.Int16, nw.Int32, nw.UInt8, nw.UInt16, nw.UInt32)


def columns_in(text: str) -> set[str]:
    """Return the names of the columns that a formula reads.

    Raises:
        InvalidInput: as `expression`.
    """
    expression(text)
    return set(_columns(parsed(text)))


def aggregates(text: str) -> bool:
    """Tell whether a formula makes one value of many rows somewhere.

    Raises:
        InvalidInput: as `expression`.
    """
    expression(text)
    calls = (part for part in ast.walk(parsed(text)) if isinstance(part, ast.Call))
    return any(_name(call.func) in AGGREGATES for call in calls)


def parsed(text: str) -> ast.expr:
    """Return the syntax tree of a formula, of which nothing is known yet.

    Raises:
        InvalidInput: it is no formula, or longer than 10,000 characters.
    """
    if len(text) > _LONGEST:
        raise InvalidInput(f"a formula may have {_LONGEST} characters; this one has {len(text)}")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        hint = "; is == meant where = stands?" if "=" in text and "==" not in text else ""
        raise InvalidInput(f"{text!r} is no formula: {error}{hint}") from error


def _columns(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and _name(part.func) == "col":
            yield part.args[0].value  # type: ignore[attr-defined]
        elif isinstance(part, ast.Name):
            called = (isinstance(call, ast.Call) and call.func is part for call in ast.walk(node))
            if not any(called):
                yield part.id


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _as_expression(value: Any) -> nw.Expr:
    return value if isinstance(value, nw.Expr) else nw.lit(value)


def _build(node: ast.expr, of: _Formula) -> Any:
    """Return an expression, or a plain value where the formula has one."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.Name(id=name):
            return _column(name, of)
        case ast.Call(func=ast.Name(id="col"), args=[ast.Constant(value=str() as name)]):
            return _column(name, of)
        case ast.UnaryOp(op=ast.USub(), operand=part):
            value = _number(part, of)
            return -value if not isinstance(value, nw.Expr) else nw.lit(0) - value
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return ~_as_expression(_build(part, of))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            pair = _number(left, of), _number(right, of)
            if isinstance(op, ast.Pow) and not any(isinstance(p, nw.Expr) for p in pair):
                raise InvalidInput(f"{of.text!r}: write the number that {ast.unparse(node)} is")
            return _BINARY[type(op)](*_lifted(pair))
        case ast.BoolOp(op=op, values=values):
            terms = [_as_expression(_build(value, of)) for value in values]
            return reduce(operator.and_ if isinstance(op, ast.And) else operator.or_, terms)
        case ast.IfExp(test=test, body=body, orelse=other):
            chosen = nw.when(_as_expression(_build(test, of)))
            branches = _branches(_build(body, of), _build(other, of))
            return chosen.then(branches[0]).otherwise(branches[1])
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            return _comparison([left, *comparators], ops, of)
        case ast.Call(
            func=ast.Name(id="first" | "last" as name),
            args=[part],
            keywords=[ast.keyword(arg="by", value=order)],
        ):
            taken, key = _as_expression(_build(part, of)), named_column(order, of.text)
            return taken.first(order_by=key) if name == "first" else taken.last(order_by=key)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            read = _number if name in _COUNTING else _build
            given = [read(part, of) for part in args]
            try:
                return FUNCTIONS[name](*map(_as_expression, given[:1]), *given[1:])
            except TypeError as error:
                raise InvalidInput(f"{of.text!r}: {name} takes other arguments: {error}") from error
    raise InvalidInput(
        f"{of.text!r}: {ast.unparse(node)!r} is not known; formulas have columns, numbers, text, "
        f"+ - * / ** %, comparisons, and, or, not, in, if else, first(x, by=time), "
        f"last(x, by=time), and {', '.join(FUNCTIONS)}"
    )


def _column(name: str, of: _Formula) -> nw.Expr:
    kind = of.schema.get(name)
    column = nw.col(name)
    return column if wide(kind) == kind else column.cast(wide(kind))


def _number(node: ast.expr, of: _Formula) -> Any:
    """Return what is computed with: of truth values 0 and 1, which some engines do not count."""
    value = _build(node, of)
    counted = isinstance(value, nw.Expr) and _is_truth(node, of)
    return value.cast(nw.Int64) if counted else value


def _is_truth(node: ast.expr, of: _Formula) -> bool:
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.IfExp(body=body):
            return _is_truth(body, of)
        case (
            ast.Name(id=name)
            | ast.Call(func=ast.Name(id="col"), args=[ast.Constant(value=str() as name)])
        ):
            return bool(of.schema.get(name) == nw.Boolean)
        case ast.Call(func=ast.Name(id=name)):
            return name in _TRUTHS
    return False


def _branches(*values: Any) -> list[nw.Expr]:
    """Return what an if has to choose from; of plain numbers alone, in 64 bits."""
    plain = not any(isinstance(value, nw.Expr) for value in values)
    return [
        nw.lit(value, dtype=nw.Int64)
        if plain and type(value) is int and abs(value) < 2**63
        else _as_expression(value)
        for value in values
    ]


def named_column(node: ast.expr, text: str) -> str:
    """Return the name of the column that a node of a formula is.

    Raises:
        InvalidInput: it is something else.
    """
    match node:
        case ast.Name(id=name):
            return name
        case ast.Call(func=ast.Name(id="col"), args=[ast.Constant(value=str() as name)]):
            return name
    raise InvalidInput(f"{text!r}: by= takes a column, such as last(x, by=time)")


def _lifted(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    """Let a number stand on the left too."""
    left, right = pair
    return (_as_expression(left) if isinstance(right, nw.Expr) else left), right


def _comparison(parts: list[ast.expr], ops: list[ast.cmpop], of: _Formula) -> nw.Expr:
    result: nw.Expr | None = None
    for left, op, right in zip(parts, ops, parts[1:], strict=False):
        step = _compare(left, op, right, of)
        result = step if result is None else result & step
    assert result is not None
    return result


def _compare(left: ast.expr, op: ast.cmpop, right: ast.expr, of: _Formula) -> nw.Expr:
    value = _as_expression(_build(left, of))
    if isinstance(op, ast.Is | ast.IsNot):
        if not (isinstance(right, ast.Constant) and right.value is None):
            raise InvalidInput(f"{of.text!r}: only None is asked for with is; use == for values")
        return value.is_null() if isinstance(op, ast.Is) else ~value.is_null()
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            raise InvalidInput(f"{of.text!r}: in is followed by values, such as in ('a', 'b')")
        members = [_build(part, of) for part in right.elts]
        if any(isinstance(member, nw.Expr) for member in members):
            raise InvalidInput(f"{of.text!r}: in is followed by plain values")
        # One by one: of numbers of another kind, is_in may say nothing.
        found = reduce(operator.or_, [value == member for member in members], nw.lit(False))
        return found if isinstance(op, ast.In) else ~found
    other = _build(right, of)
    if other is None:
        raise InvalidInput(f"{of.text!r}: nothing equals None; write: is None, or is not None")
    compared: nw.Expr = _COMPARE[type(op)](value, other)
    return compared
