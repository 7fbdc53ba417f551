"""Statement: what a query names, once it is sure that it does nothing but read."""

import re
from typing import Any

import duckdb
import msgspec

from lepton_ai.core.errors import InvalidInput, LeptonError

__all__ = ["CONFIG", "Name", "meaning", "names_of"]

Name = tuple[str, ...]

CONFIG: dict[str, Any] = {
    # DuckDB would write what does not fit into memory beside the program, where anyone can read
    # it; what it calls encryption of these files is not safe without an extension.
    "temp_directory": "",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
# What makes rows from a query's own values; anything else reaches out of the query.
_FUNCTIONS = frozenset(
    {"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"}
)
# Scalars that tell of the process instead of the rows, or answer another query.
_REFUSED = frozenset(
    {"current_setting", "getenv", "getvariable", "json_serialize_plan", "write_log"}
)
# A version that is named without quotes.
_VERSION = re.compile(r"\b(?:from|join)\s+([\w.]+[:@#]\w[\w.-]*)", re.IGNORECASE)
# How DuckDB calls what changes rows, inside WITH too.
_WRITING = "_QUERY_NODE"


def names_of(text: str) -> list[Name]:
    """Return the datasets that a query names, once it is sure that it only reads.

    Raises:
        InvalidInput: it is not one SELECT, or calls what reaches out of the query.
    """
    with duckdb.connect(":memory:", config=CONFIG) as connection:
        try:
            text.encode()  # DuckDB only says that a lone surrogate is no text
            kinds = [statement.type.name for statement in connection.extract_statements(text)]
            if kinds not in (["SELECT"], ["EXPLAIN"]):
                raise InvalidInput(
                    f"one SELECT is answered, got {' and '.join(kinds) or 'nothing'}; to keep the "
                    "rows, use sql(...).save(name), or lepton sql ... --save NAME"
                )
            bare = re.sub(r"^\s*explain(\s+analyze)?\s", "", text, flags=re.IGNORECASE)
            ((tree,),) = connection.execute("SELECT json_serialize_sql(?)", [bare]).fetchall()
        except (duckdb.Error, ValueError) as error:  # a statement that its binding has no name for
            said, unquoted = meaning(error), _VERSION.search(text)
            if unquoted is None:
                raise said from error
            advice = f'a version is written between double quotes: "{unquoted[1]}"'
            raise InvalidInput(f"{said}\n{advice}") from error
    found = set[Name]()
    try:
        parsed = msgspec.json.decode(tree)
        if parsed.get("error"):
            raise InvalidInput(f"only a plain SELECT is answered: {parsed.get('error_message')}")
        _walk(parsed, found, frozenset())
    except RecursionError as error:
        raise InvalidInput("the query is nested too deeply; name its parts by WITH") from error
    return sorted(found)


def _walk(node: Any, found: set[Name], made: frozenset[str]) -> None:
    """Gather the tables that a parsed query names, without those that it makes itself (WITH).

    Args:
        made: what the query makes itself, as far as it can be seen from here.
    """
    if isinstance(node, list):
        for part in node:
            _walk(part, found, made)
    elif isinstance(node, dict):
        _check(node)
        if node.get("type") == "RECURSIVE_CTE_NODE":
            made |= {node["cte_name"].lower()}
        for entry in (node.get("cte_map") or {}).get("map", []):
            _walk(entry["value"], found, made)
            made |= {entry["key"].lower()}
        if node.get("type") == "BASE_TABLE":
            parts = (node.get(f"{kind}_name") for kind in ("catalog", "schema", "table"))
            names = tuple(part for part in parts if part)
            if len(names) > 1 or names[0].lower() not in made:
                found.add(names)
        for key, part in node.items():
            if key != "cte_map":
                _walk(part, found, made)


def _check(node: dict[str, Any]) -> None:
    """Refuse what writes, what lists DuckDB's own tables, and what reaches out of the query."""
    kind = str(node.get("type"))
    if kind.endswith(_WRITING):
        raise InvalidInput(
            f"one SELECT is answered, and {kind.removesuffix(_WRITING)} is none, inside WITH "
            "neither; select the rows, and keep them by sql(...).save(name)"
        )
    if kind == "SHOW_REF" and node.get("query") is None:
        raise InvalidInput(
            "SHOW is not answered; `lepton data ls` lists the datasets, DESCRIBE NAME their columns"
        )
    if kind == "TABLE_FUNCTION":
        called = str(node["function"].get("function_name") or "").lower()
        _refuse(called, called not in _FUNCTIONS)
    function = str(node.get("function_name") or "").lower()
    _refuse(function, function in _REFUSED)


def _refuse(function: str, wrong: bool) -> None:
    if wrong:
        raise InvalidInput(
            f"{function}() is out of reach of a query, which reads datasets only; name a dataset "
            f"in its place, or one of {', '.join(sorted(_FUNCTIONS))}"
        )


def meaning(error: Exception) -> LeptonError:
    """Return what an error of DuckDB means, in the house's words."""
    text = str(error).strip()
    if isinstance(error, LeptonError):
        return error
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in text:
        return InvalidInput(
            "the query needs more memory than half of this machine's, and nothing is written to "
            f"the disk unencrypted; select fewer rows or columns, or group before a join: {text}"
        )
    return InvalidInput(text)
