"""Rows that do not fit are rejected with line and reason; the others are read as if alone."""

# ruff: noqa: RUF001 (words of several alphabets)

import bz2
import csv
import gzip
import io
import lzma
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.read_table import read_table
from lepton_ai.data.readers.delimited import read_delimited
from lepton_ai.data.readers.json import read_ndjson
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace
from tests.data.readers.reading import read

GOOD = [f"{n},name {n},{n / 2},2026-01-{n % 28 + 1:02}" for n in range(200)]
BAD = {
    3: ("1,too,few", "ragged"),
    9: ("1,far,too,2026-01-01,many", "ragged"),
    20: ("x,name,1.5,2026-01-01", "not Int64"),
    33: ('7,"never closed,1.5,2026-01-01', "open quote"),
    50: ("7,nul\0byte,1.5,2026-01-01", "not text"),
    61: ("8,bytes \udcff,1.5,2026-01-01", "not text"),
    90: ("9,late,1.5,2026-13-01", "not Date"),
}


def damaged() -> tuple[bytes, list[str]]:
    lines = ["id,name,x,day", *GOOD]
    for line in sorted(BAD):
        lines.insert(line - 1, BAD[line][0])
    return "\n".join(lines).encode("utf-8", "surrogateescape"), lines


def test_each_bad_row_is_named_and_the_good_are_all_there(
    tmp_path: Path, workspace: Workspace
) -> None:
    data, lines = damaged()
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="rejects='keep'"):
        read_table(path)
    table = read_table(path, rejects="keep")
    frame = table.to_polars()
    assert frame.schema == {"id": pl.Int64, "name": pl.String, "x": pl.Float64, "day": pl.Date}
    told = [tuple(row) for row in csv.reader(GOOD)]
    assert [(str(i), n, f"{x:g}") for i, n, x in frame.select("id", "name", "x").rows()] == [
        (i, n, f"{float(x):g}") for i, n, x, _ in told
    ]
    rejected = open_dataset("rows.rejected", workspace)
    assert isinstance(rejected, Table)
    found = {line: (reason, text) for line, reason, text in rejected.to_polars().rows()}
    assert set(found) == set(BAD)
    for line, (_, reason) in BAD.items():
        assert found[line][0].startswith(reason)
    assert found[3][1] == lines[2]
    assert "\\udcff" in found[61][1]
    # Both come from the same file.
    for dataset in (table.dataset, rejected.dataset):
        sources = [n for role, n in workspace.lineage.parents(dataset.id) if role == "source"]
        assert workspace.objects.get(str(sources[0].digest)) == data
    assert table.dataset.facts["rejected"]["rows"] == len(BAD)


def test_given_types_rule() -> None:
    data = b"zip,n,when\n01067,1,2026-11-24T10:00:00+02:00\n10115,x,2026-11-24T10:00:00Z\n"
    frame, bad = read(read_delimited, data, types={"n": "Int64"})
    assert frame.to_dicts() == [
        {"zip": "01067", "n": 1, "when": datetime(2026, 11, 24, 8, tzinfo=UTC)}
    ]
    assert [(line, reason) for line, reason, _ in bad.rows] == [
        (3, "not Int64: column 'n' holds 'x'")
    ]
    for types in ({"m": "Int64"}, {"n": "Int65"}):
        with pytest.raises(InvalidInput, match="types names"):
            read(read_delimited, data, types=types)


def test_integers_of_any_size_are_exact() -> None:
    large = 2**63 + 5
    frame, bad = read(read_delimited, f"a,b\n1,7\n{large},-{large}\n".encode())
    assert not bad
    assert frame["a"].to_list() == [Decimal(1), Decimal(large)]
    assert frame["b"].to_list() == [Decimal(7), Decimal(-large)]
    huge = "9" * 60
    assert read(read_delimited, f"a\n{huge}\n".encode())[0]["a"].to_list() == [huge]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251", "iso8859-5"])
def test_encodings(encoding: str) -> None:
    data = "имя;n\nЗоя;1\nЯна;2\n".encode(encoding)
    frame, bad = read(read_delimited, data, encoding="utf-8" if "utf-8" in encoding else encoding)
    assert not bad
    assert frame.rows() == [("Зоя", 1), ("Яна", 2)]
    with pytest.raises(LookupError):
        read(read_delimited, data, encoding="klingon")


def test_ndjson() -> None:
    lines = ['{"a": 1, "b": "x"}'] * 5 + [
        "{broken", "[1]", '{"a": "text", "b": "y"}', '{"a": 99999999999999999999}', "", "{}",
        '{"a": null, "c": 1.5}',
    ]  # fmt: skip
    frame, bad = read(read_ndjson, "\n".join(lines).encode())
    assert frame["a"].to_list() == [*[Decimal(1)] * 5, Decimal(99999999999999999999), None]
    assert [line for line, _, _ in sorted(bad.rows)] == [6, 7, 8, 11]
    with pytest.raises(ValueError, match="no record"):
        read(read_ndjson, b"\n\n1\n")


FIELD = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=8))
def test_what_is_written_properly_is_read_back(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b"])
    writer.writerows(rows)
    types = {"a": "String", "b": "String"}
    frame, bad = read(read_delimited, out.getvalue().encode(), missing=(), types=types)
    assert not bad
    assert frame.rows() == rows


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_is_no_part_of_a_name(encoding: str) -> None:
    frame, _ = read(read_delimited, "\ufeffa,b\n1,2\n".encode(encoding), encoding=encoding)
    assert frame.to_dicts() == [{"a": 1, "b": 2}]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (gzip.compress(b"a,b\n1,2\n"), "gzip"),
        (bz2.compress(b"a,b\n1,2\n"), "bzip2"),
        (lzma.compress(b"a,b\n1,2\n"), "xz"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "zstd"),
        (b"PK\x03\x04\x14\x00", "ZIP"),
    ],
)
def test_a_compressed_file_is_called_so(data: bytes, name: str) -> None:
    with pytest.raises(ValueError, match=rf"compressed \({name}.*unpack it first"):
        read(read_delimited, data)


def test_more_columns_than_a_table_holds_are_refused() -> None:
    names = ",".join(f"c{number}" for number in range(100_001))
    with pytest.raises(ValueError, match="names 100,001 columns"):
        read(read_delimited, names.encode())


@pytest.mark.parametrize("zone", ["", "Z"])
def test_moments_finer_than_microseconds_stay_text(zone: str) -> None:
    fine, coarse = f"2026-01-02 03:04:05.1234567{zone}", f"2026-01-02 03:04:05.1234560{zone}"
    assert read(read_delimited, f"a,b\n1,{fine}\n".encode())[0]["b"].to_list() == [fine]
    moment = read(read_delimited, f"a,b\n1,{coarse}\n".encode())[0]["b"].to_list()[0]
    assert moment.microsecond == 123456
