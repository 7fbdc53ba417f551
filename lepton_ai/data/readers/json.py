"""JSON documents: a list of records, or one list of records inside a document."""

from typing import Any

import msgspec
import polars as pl

__all__ = ["read_json"]

_DEEPEST = 20


def read_json(data: bytes, *, flatten: bool = False) -> pl.DataFrame:
    """Read records.

    Args:
        data: a JSON list of objects, or an object one of whose values is such a list.
        flatten: make columns ``a.b`` of nested objects; else they stay structures.

    Raises:
        ValueError: it is no JSON, or holds no records.
    """
    try:
        value: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if isinstance(value, dict):
        lists = [part for part in value.values() if _are_records(part)]
        if len(lists) > 1:
            raise ValueError("it holds several lists of records; give them as files of their own")
        value = lists[0] if lists else [value]
    if not _are_records(value):
        raise ValueError("it holds no list of records, such as [{...}, {...}]")
    records = [_flat(record) for record in value] if flatten else value
    return pl.from_dicts(records, infer_schema_length=None)


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(r, dict) for r in value)


def _flat(record: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise ValueError(f"its records are nested more than {_DEEPEST} deep")
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.", depth + 1)
        else:
            flat[f"{prefix}{name}"] = value
    return flat
