"""Figures: the aggregates of a formula, taken apart, for what computes them one by one."""

import ast
from typing import NamedTuple

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.expression import AGGREGATES, expression, named_column, parsed

__all__ = ["Figure", "taken_apart"]


class Figure(NamedTuple):
    """One aggregate of a formula.

    Attributes:
        function: such as ``sum``.
        formula: what it is of; of `rows()`, nothing.
        share: of a quantile.
        order: the column by which ``first`` and ``last`` go, if one is named.
    """

    function: str
    formula: str = ""
    share: float | None = None
    order: str | None = None

    def call(self) -> str:
        """Return the aggregate as a formula has it."""
        given = [self.formula] if self.formula else []
        given += [] if self.share is None else [repr(self.share)]
        given += [] if self.order is None else [f"by=col({self.order!r})"]
        return f"{self.function}({', '.join(given)})"


def taken_apart(text: str, prefix: str) -> tuple[dict[str, Figure], str]:
    """Return the aggregates of a formula, and the formula over columns that hold them.

    Args:
        text: such as ``sum(a) / sum(b)``.
        prefix: of the names that the aggregates get; they are numbered.

    Returns:
        The aggregates by name, and ``col('_0') / col('_1')``, say.

    Raises:
        InvalidInput: it is no formula, or has an aggregate within another.
    """
    found: dict[str, Figure] = {}

    class Taking(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            if not (isinstance(node.func, ast.Name) and node.func.id in AGGREGATES):
                return self.generic_visit(node)
            name = f"{prefix}{len(found)}"
            found[name] = _figure(node, node.func.id, text)
            return ast.parse(f"col({name!r})", mode="eval").body

    rest = ast.unparse(Taking().visit(parsed(text)))
    expression(rest)
    return found, rest


def _figure(node: ast.Call, function: str, text: str) -> Figure:
    inner = (part for argument in node.args for part in ast.walk(argument))
    names = (part.func for part in inner if isinstance(part, ast.Call))
    if any(isinstance(name, ast.Name) and name.id in AGGREGATES for name in names):
        raise InvalidInput(f"{text!r}: {ast.unparse(node)} is a figure of figures")
    match node.args, node.keywords:
        case [], [] if function == "rows":
            return Figure(function)
        case [part], [] if function not in ("rows", "quantile"):
            return Figure(function, _checked(part))
        case [part, ast.Constant(value=int() | float() as share)], [] if function == "quantile":
            if 0 <= share <= 1:
                return Figure(function, _checked(part), float(share))
        case [part], [ast.keyword(arg="by", value=order)] if function in ("first", "last"):
            return Figure(function, _checked(part), order=named_column(order, text))
    raise InvalidInput(
        f"{text!r}: {ast.unparse(node)} is not known; write sum(x), quantile(x, 0.9), rows(), "
        "first(x)"
    )


def _checked(node: ast.expr) -> str:
    formula = ast.unparse(node)
    expression(formula)
    return formula
