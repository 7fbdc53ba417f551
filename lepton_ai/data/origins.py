"""Origins: of which columns of its sources each column of a query was computed.

What cannot be told for sure comes from all columns there are: tags then follow too far, never
not far enough. Conditions, groups and order are not followed: they choose rows, as a person who
keeps a result knows.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

__all__ = ["origins"]

Name = tuple[str, ...]
Origins = dict[str, dict[Name, list[str]]]
Schema = dict[str, Any]

_DIALECT = "duckdb"
_UNNAMED = "unnamed_"
# What names columns without saying which; `#2` is DuckDB's second column.
_VAGUE = (exp.Columns, exp.Pivot, exp.Star, exp.Parameter, exp.Placeholder)
_UNSURE = re.compile(r"#\s*\d|^\s*explain\b", re.IGNORECASE)


def origins(query: str, columns: Sequence[str], sources: Mapping[Name, Sequence[str]]) -> Origins:
    """Return the columns that each column of a query was computed from, source by source.

    Args:
        query: in DuckDB's SQL.
        columns: those of its answer, in order.
        sources: the columns of what it reads, by the name that it calls it.
    """
    whole: dict[Name, list[str]] = {name: list(known) for name, known in sources.items()}
    called = {f"source_{place}": name for place, name in enumerate(sources)}
    schema = {word: dict.fromkeys(sources[name], "text") for word, name in called.items()}
    leaves: list[dict[str, set[str]] | None] = [None] * len(columns)
    scope = None if _UNSURE.search(query) else _scope(query, columns, called, schema)
    if scope is not None:
        leaves = [_leaves(scope, place, column, schema) for place, column in enumerate(columns)]
    return {
        column: whole
        if found is None
        else {called[word]: sorted(names) for word, names in found.items() if names}
        for column, found in zip(columns, leaves, strict=True)
    }


def _scope(
    query: str, columns: Sequence[str], called: Mapping[str, Name], schema: Schema
) -> Scope | None:
    """Return the parsed query with all names resolved; None where it is beyond the parser."""
    try:
        tree = sqlglot.parse_one(query, dialect=_DIALECT)
        if not isinstance(tree, exp.Query) or tree.find(exp.Columns, exp.Pivot):
            return None
        known = {name.lower() for names in schema.values() for name in names}
        tables = {table.alias_or_name.lower() for table in tree.find_all(exp.Table)}
        loose = {c.name.lower() for c in tree.find_all(exp.Column) if not c.table}
        if loose & tables - known:
            return None  # a whole row as one value
        made = {part.alias_or_name.lower() for part in tree.find_all(exp.CTE)}
        if made & {*called, *(name[-1].lower() for name in called.values())}:
            return None  # one name for a source and for what the query makes itself
        _pin(tree, called)
        if isinstance(tree, exp.Select) and len(tree.selects) == len(columns):
            for place, part in enumerate(tree.selects):
                if not part.output_name:
                    part.replace(exp.alias_(part.copy(), f"{_UNNAMED}{place}"))
        return build_scope(
            qualify(
                tree, schema=schema, dialect=_DIALECT, identify=True,
                validate_qualify_columns=False,
            )
        )  # fmt: skip
    except (SqlglotError, ValueError, KeyError, AttributeError, RecursionError):
        return None


def _pin(tree: Any, called: Mapping[str, Name]) -> None:
    """Give each source in the tree a plain name."""
    plain = {tuple(part.lower() for part in name): word for word, name in called.items()}
    for table in tree.find_all(exp.Table):
        word = plain.get(tuple(part.name.lower() for part in table.parts))
        if word is not None:
            alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
            table.replace(exp.Table(this=exp.to_identifier(word), alias=alias.copy()))


def _leaves(scope: Scope, place: int, column: str, schema: Schema) -> dict[str, set[str]] | None:
    """Return the columns of sources that a column goes back to; None where that is not sure."""
    query: Any = scope.expression
    names = query.named_selects
    if place >= len(names) or "*" in names or Counter(names)[names[place]] > 1:
        return None
    if names[place].lower() not in (column.lower(), f"{_UNNAMED}{place}"):
        return None
    found: dict[str, set[str]] = {word: set() for word in schema}
    exact = {word: {name.lower(): name for name in known} for word, known in schema.items()}
    try:
        top = lineage(names[place], query, schema, scope=scope, dialect=_DIALECT)
    except (SqlglotError, ValueError, KeyError, AttributeError, RecursionError):
        return None
    for node in top.walk():
        if node.downstream:
            continue
        if isinstance(node.source, exp.Table) and node.expression is node.source:
            name = _column_name(node)
            if node.source.name not in exact or name not in exact[node.source.name]:
                return None
            found[node.source.name].add(exact[node.source.name][name])
        elif _reads(node.expression):
            return None
    return found


def _column_name(node: Node) -> str:
    parsed = sqlglot.parse_one(node.name)
    return parsed.name.lower() if isinstance(parsed, exp.Column) else ""


def _reads(expression: exp.Expression) -> bool:
    """Say whether an expression without known origins may have some after all."""
    for part in expression.walk():
        counted = isinstance(part, exp.Star) and isinstance(part.parent, exp.Count)
        if isinstance(part, exp.Column | exp.Table) or (isinstance(part, _VAGUE) and not counted):
            return True
    return False
