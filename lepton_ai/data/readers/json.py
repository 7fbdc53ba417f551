"""JSON: documents that hold a list of records, and files of one record a line."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec
import polars as pl

from lepton_ai.data.readers.blocks import Block, blocks, text_of, utf8
from lepton_ai.data.readers.records import Batch, Record, flat, record_frames
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["read_json", "read_ndjson"]

_LINES = msgspec.json.Decoder()


def read_json(
    file: BinaryIO,
    rejects: Rejects,
    *,
    flatten: bool = False,
    encoding: str = "utf-8",
    types: Mapping[str, str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Read the records of a document, which is taken whole into memory.

    The document is a list of objects, or an object one of whose values is such a list.

    Args:
        flatten: make columns ``a.b`` of nested objects; else they stay structures.
        encoding: of the text; a byte order mark overrules UTF-8.
        types: of columns, over what JSON says; names of `readers.kinds.TYPES`.

    Raises:
        ValueError: it is no JSON, or holds no records.
    """
    try:
        value: Any = msgspec.json.decode(b"".join(utf8(file, encoding)))
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if isinstance(value, dict):
        lists = [part for part in value.values() if _are_records(part)]
        if len(lists) > 1:
            raise ValueError("it holds several lists of records; give them as files of their own")
        value = lists[0] if lists else [value]
    if not _are_records(value):
        raise ValueError("it holds no list of records, such as [{...}, {...}]")
    records: list[Record] = [flat(record) for record in value] if flatten else value

    def located() -> Sequence[tuple[int, str]]:
        texts = (msgspec.json.encode(record).decode() for record in records)
        return list(enumerate(texts, start=1))

    return record_frames(lambda _: [Batch(records, located)], rejects, types=types)


def read_ndjson(
    file: BinaryIO,
    rejects: Rejects,
    *,
    flatten: bool = False,
    encoding: str = "utf-8",
    types: Mapping[str, str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Read a JSON object from each line, and reject lines that hold none, or other types.

    Args:
        flatten, encoding, types: as `read_json`.

    Raises:
        ValueError: no line holds an object.
    """

    def batches(bad: Rejects) -> Iterator[Batch]:
        for block in blocks(file, encoding):
            yield _batch(block, bad, flatten=flatten)

    return record_frames(batches, rejects, types=types)


def _batch(block: Block, rejects: Rejects, *, flatten: bool) -> Batch:
    try:
        found = _LINES.decode_lines(block.data)
        if all(type(record) is dict and record for record in found):
            records = [flat(record) for record in found] if flatten else found
            return Batch(records, lambda: [one[:2] for one in _lines(block, Rejects(), flatten)])
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        pass  # one line or another is no record
    rows = list(_lines(block, rejects, flatten))
    return Batch([record for _, _, record in rows], lambda: [row[:2] for row in rows])


def _lines(block: Block, rejects: Rejects, flatten: bool) -> Iterator[tuple[int, str, Record]]:
    for number, raw in enumerate(block.data.split(b"\n"), block.line):
        if not raw.strip():
            continue
        text = text_of(raw).rstrip("\r")
        try:
            record = msgspec.json.decode(raw)
            if not isinstance(record, dict) or not record:
                rejects.add(number, "no object with values", text)
                continue
            yield number, text, flat(record) if flatten else record
        except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
            rejects.add(number, f"no JSON: {error}", text)


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(r, dict) for r in value)
