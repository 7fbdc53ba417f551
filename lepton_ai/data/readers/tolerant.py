"""Tolerant: text files read row by row, so that a bad row is rejected and the others are kept."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
import polars as pl

from lepton_ai.data.readers.kinds import typed
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["read_delimited", "read_ndjson"]

# A row goes over no more lines than this: a quote that is never closed costs one row.
_LONGEST = 1000
_MOST = 2**26


def read_delimited(
    data: bytes,
    *,
    separator: str | None = None,
    encoding: str = "utf-8",
    missing: Sequence[str] = ("",),
    types: Mapping[str, str] | None = None,
) -> tuple[pl.DataFrame, Rejects]:
    """Read separated values, and reject rows that are not whole, not text or of a wrong type.

    Args:
        separator: found in the header unless given.
        types: of columns where values do not tell; names of `readers.kinds.TYPES`.

    Raises:
        ValueError: there is no header, or a name in it comes twice.
        LookupError: there is no such encoding.
    """
    lines = data.decode(_with_mark(encoding), "surrogateescape").splitlines(keepends=True)
    if not lines or not lines[0].strip():
        raise ValueError("it has no header in its first line")
    bare = "".join(lines[0].split('"')[::2])
    comma = separator or max(",;\t|", key=bare.count)
    records = _records(lines, comma)
    rejects = Rejects()
    _, names, _ = next(records)
    if isinstance(names, str):
        raise ValueError(f"its header cannot be read: {names}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the columns {twice} occur more than once; rename them")
    kept: list[list[str | None]] = []
    where: list[int] = []
    texts: list[str] = []
    absent = set(missing)
    for line, fields, text in records:
        if isinstance(fields, str):
            rejects.add(line, fields, text)
        elif not text.isprintable() and (bad := _strange(text)):
            rejects.add(line, bad, text)
        elif len(fields) != len(names):
            reason = f"ragged: {len(fields)} fields where the header has {len(names)}"
            rejects.add(line, reason, text)
        else:
            kept.append([None if field in absent else field for field in fields])
            where.append(line)
            texts.append(text)
    frame = pl.DataFrame(kept, schema=dict.fromkeys(names, pl.String), orient="row")
    return typed(frame, where, texts, types or {}, rejects), rejects


def read_ndjson(
    data: bytes, *, types: Mapping[str, str] | None = None
) -> tuple[pl.DataFrame, Rejects]:
    """Read a JSON object from each line, and reject lines that hold none, or other types.

    A column is of the type that most of its values have; integers may stand among floats.

    Raises:
        ValueError: no line holds an object, or ``types`` is given: JSON says its types itself.
    """
    if types:
        raise ValueError("JSON says itself what type a value is; read it without types")
    rejects = Rejects()
    rows: list[tuple[int, dict[str, Any], str]] = []
    for number, raw in enumerate(data.split(b"\n"), 1):
        if not raw.strip():
            continue
        text = raw.decode("utf-8", "surrogateescape")
        try:
            record = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            rejects.add(number, f"no JSON: {error}", text)
            continue
        if isinstance(record, dict) and record:
            rows.append((number, record, text))
        else:
            rejects.add(number, "no object with values", text)
    if not rows:
        raise ValueError("no line of it holds a JSON object")
    wanted = _majority(record for _, record, _ in rows)
    kept = []
    for number, record, text in rows:
        other = next((n for n, v in record.items() if not _fits(v, wanted.get(n))), None)
        if other is None:
            kept.append(record)
        else:
            told = getattr(wanted[other], "__name__", "null")
            rejects.add(number, f"not {told}: column {other!r} holds {record[other]!r:.80}", text)
    return pl.from_dicts(kept, infer_schema_length=None), rejects


def _with_mark(encoding: str) -> str:
    return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding


def _records(lines: Sequence[str], separator: str) -> Iterator[tuple[int, list[str] | str, str]]:
    """Yield line number, fields or the reason there are none, and text of each record."""
    csv.field_size_limit(_MOST)
    start = 0
    while start < len(lines):
        if not lines[start].strip():
            start += 1
            continue
        reader = csv.reader(
            islice(lines, start, start + _LONGEST), delimiter=separator, strict=True
        )
        try:
            fields: list[str] | str = next(reader)
            used = reader.line_num
        except csv.Error as error:
            unclosed = "unexpected end" in str(error)
            fields = "open quote: no end in sight" if unclosed else f"broken: {error}"
            used = 1
        except StopIteration:
            return
        yield start + 1, fields, "".join(lines[start : start + used]).rstrip("\r\n")
        start += used


def _strange(text: str) -> str:
    if "\0" in text:
        return "not text: it holds NUL bytes"
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        return "not text: bytes that the encoding does not have"
    return ""


def _majority(records: Iterator[dict[str, Any]]) -> dict[str, type | None]:
    counts: dict[str, dict[type, int]] = {}
    for record in records:
        for name, value in record.items():
            if value is not None:
                kinds = counts.setdefault(name, {})
                kinds[type(value)] = kinds.get(type(value), 0) + 1
    chosen: dict[str, type | None] = {}
    for name, kinds in counts.items():
        numbers = kinds.get(int, 0) + kinds.get(float, 0)
        if float in kinds and numbers >= max(kinds.values()):
            chosen[name] = float
        else:
            chosen[name] = max(kinds, key=lambda kind: kinds[kind])
    return chosen


def _fits(value: Any, kind: type | None) -> bool:
    if value is None or kind is None:
        return True
    if kind is int:
        return type(value) is int and -(2**63) <= value < 2**63
    return type(value) is kind or (kind is float and type(value) is int)
