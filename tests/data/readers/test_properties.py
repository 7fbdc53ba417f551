"""Rows that another implementation wrote come back equal, in every format."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from lepton_ai.data.readers import blocks
from lepton_ai.data.readers.arff import read_arff
from lepton_ai.data.readers.arrow import read_arrow
from lepton_ai.data.readers.delimited import read_delimited
from lepton_ai.data.readers.excel import read_excel
from lepton_ai.data.readers.json import read_json, read_ndjson
from lepton_ai.data.readers.logs import read_log
from lepton_ai.data.readers.parquet import read_parquet
from lepton_ai.data.readers.xml import read_xml
from tests.data.readers.reading import read

Row = tuple[Any, ...]
NAMES = ("id", "x", "ok", "name", "day", "at")
TYPES = dict(zip(NAMES, ("Int64", "Float64", "Boolean", "String", "Date", "Instant"), strict=True))
SCHEMA = {
    "id": pl.Int64, "x": pl.Float64, "ok": pl.Boolean, "name": pl.String, "day": pl.Date,
    "at": pl.Datetime("us", "UTC"),
}  # fmt: skip
ZONES = [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=9, minutes=30))]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.booleans(),
        st.none() | TEXT,
        st.none() | st.dates(date(1600, 1, 1), date(2400, 1, 1)),
        st.none() | st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1),
                                 timezones=st.sampled_from(ZONES)),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    moved = [(*row[:5], row[5] and row[5].astimezone(UTC)) for row in rows]
    return pl.DataFrame(moved, schema=SCHEMA, orient="row")


def plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def by_csv(rows: Sequence[Row], separator: str = ",", end: str = "\r\n") -> str:
    out = io.StringIO()
    # Where lines end in LF, the writer would leave a CR without quotes.
    quoting = csv.QUOTE_MINIMAL if end == "\r\n" else csv.QUOTE_ALL
    writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow(NAMES)
    writer.writerows([["\\N" if v is None else plain(v) for v in row] for row in rows])
    return out.getvalue()


@settings(max_examples=40, deadline=None)
@given(
    rows=ROWS, separator=st.sampled_from(",;\t|"), end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"]),
    piece=st.integers(1, 60),
)  # fmt: skip
def test_separated_values_however_they_are_cut(
    rows: list[Row], separator: str, end: str, encoding: str, piece: int
) -> None:
    # A zero in front is a code unless the type is given, and so is "\N" a name.
    data = by_csv([row for row in rows if row[3] != "\\N"], separator, end).encode(encoding)
    options = {"encoding": encoding if encoding == "gb18030" else "utf-8"}
    wanted = frame([row for row in rows if row[3] != "\\N"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_PIECE", piece)
        # So small a block would be cut within quotes.
        patch.setattr(blocks, "_ENOUGH", 2**30)
        found, bad = read(
            read_delimited, data, types=TYPES, missing=["\\N"], separator=separator, **options
        )
    assert not bad
    assert found.equals(wanted)


@settings(max_examples=30, deadline=None)
@given(rows=ROWS)
def test_types_are_those_that_pandas_finds(rows: list[Row]) -> None:
    numbers = [(row[0], row[1]) for row in rows]
    text = "a,b\n" + "".join(f"{plain(a)},{b!r}\n" for a, b in numbers).replace("None", "")
    found = read(read_delimited, text.encode(), keep=False)[0]
    theirs = pd.read_csv(io.StringIO(text), dtype={"a": "Int64"})
    for name, kind in (("a", "Int64"), ("b", "Float64")):
        ours = found[name].cast(pl.Float64 if kind == "Float64" else pl.Int64, strict=False)
        assert ours.to_list() == [None if pd.isna(v) else v for v in theirs[name].tolist()]


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, piece=st.integers(1, 80), lines=st.booleans())
def test_json(rows: list[Row], piece: int, lines: bool) -> None:
    records = [
        {"n": number, **{name: plain(v) for name, v in zip(NAMES, row, strict=True)}}
        for number, row in enumerate(rows)
    ]
    dumped = [json.dumps(record) for record in records]
    data = "\n".join(dumped) if lines else f"[{','.join(dumped)}]"
    types = {name: kind for name, kind in TYPES.items() if name in ("day", "at")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_PIECE", piece)
        found, bad = read(read_ndjson if lines else read_json, data.encode(), types=types)
    assert not bad
    wanted = frame(rows)
    for name in NAMES:
        assert found[name].to_list() == wanted[name].to_list()


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(NESTED, min_size=1, max_size=5))
def test_nested_json_loses_nothing(values: list[Any]) -> None:
    data = "\n".join(json.dumps({"n": n, "v": value}) for n, value in enumerate(values))
    found, bad = read(read_ndjson, data.encode())
    lines = {line for line, _, _ in bad.rows}
    kept = [value for n, value in enumerate(values) if n + 1 not in lines]
    assert len(found) == len(kept)
    for ours, theirs in zip(found["v"].to_list(), kept, strict=True):
        assert _same(ours, theirs), (ours, theirs)


def _same(ours: Any, theirs: Any) -> bool:
    """Say whether a value is what JSON says, as itself, as text or as a structure with gaps."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return set(theirs) <= {*ours} and all(
            _same(value, theirs.get(name)) for name, value in ours.items()
        )
    if isinstance(theirs, list) and isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, str) and not isinstance(theirs, str):
        return json.loads(ours) == theirs
    # A table cannot tell a missing list of structures from an empty one.
    return (ours in ([], None) and theirs in ([], None)) or ours == theirs


def by_parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out, row_group_size=2)
    return out.getvalue()


def by_ipc(table: pa.Table, kind: Callable[..., Any]) -> bytes:
    out = io.BytesIO()
    with kind(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


@settings(max_examples=20, deadline=None)
@given(rows=ROWS)
def test_parquet_and_arrow(rows: list[Row]) -> None:
    wanted = frame(rows)
    table = pa.Table.from_pylist(
        [dict(zip(NAMES, row, strict=True)) for row in rows],
        schema=wanted.to_arrow(compat_level=pl.CompatLevel.oldest()).schema,
    )
    assert read(read_parquet, by_parquet(table))[0].equals(wanted)
    assert read(read_arrow, by_ipc(table, pa.ipc.new_file))[0].equals(wanted)
    assert read(read_arrow, by_ipc(table, pa.ipc.new_stream))[0].equals(wanted)


SHOWN = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1)


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(-(2**40), 2**40), SHOWN, st.booleans()), min_size=1))
def test_spreadsheets(rows: list[Row]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["n", "name", "ok"])
    for number, name, ok in rows:
        sheet.append([number, name, ok])
        sheet.cell(sheet.max_row, 2).data_type = "s"  # no formula
    out = io.BytesIO()
    book.save(out)
    found = read(read_excel, out.getvalue())[0]
    assert found.rows() == [(float(n), name, ok) for n, name, ok in rows]


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=9)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(st.none() | st.floats(allow_nan=False), WORDS), min_size=1))
def test_arff(rows: list[Row]) -> None:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = [f"{'?' if x is None else repr(x)},{quoted(text)}" for x, text in rows]
    data = "@relation r\n@attribute x real\n@attribute t string\n@data\n" + "\n".join(lines)
    found, bad = read(read_arff, data.encode())
    assert not bad
    assert found.rows() == rows


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 2**62), WORDS, WORDS), min_size=1, max_size=6))
def test_xml(rows: list[Row]) -> None:
    root = ElementTree.Element("r")
    for number, attribute, text in rows:
        record = ElementTree.SubElement(root, "p", {"id": str(number), "a": attribute})
        ElementTree.SubElement(record, "t").text = text
    types = {"a": "String", "t": "String"}
    found = read(read_xml, ElementTree.tostring(root, "utf-8"), types=types)[0]
    assert found.select("id", "a", "t").rows() == [(n, a, t.strip() or None) for n, a, t in rows]


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 2**62), WORDS), min_size=1), piece=st.integers(1, 50))
def test_logs(rows: list[Row], piece: int) -> None:
    data = "".join(f"<{n}> {text} end\n" for n, text in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_PIECE", piece)
        found, bad = read(
            read_log, data.encode(), pattern=r"^<(?P<n>\d+)> (?P<t>.*) end$", types={"t": "String"}
        )
    assert not bad
    assert found.rows() == [(n, None if text == "-" else text) for n, text in rows]


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.integers(-(10**37), 10**37), min_size=1))
def test_integers_of_any_size(values: list[int]) -> None:
    for reader, data in (
        (read_delimited, "a\n" + "\n".join(map(str, values))),
        (read_ndjson, "\n".join(f'{{"a": {value}}}' for value in values)),
    ):
        found, bad = read(reader, data.encode())
        assert not bad
        assert [int(value) for value in found["a"].to_list()] == values
        large = any(not -(2**63) <= value < 2**63 for value in values)
        assert isinstance(found["a"][0], Decimal if large else int)
