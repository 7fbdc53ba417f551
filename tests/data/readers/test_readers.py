from pathlib import Path

import pandas as pd
import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.read_table import read_frame, read_table
from lepton_ai.data.readers.delimited import read_delimited
from lepton_ai.data.readers.json import read_json, read_ndjson
from lepton_ai.data.readers.xml import read_xml
from lepton_ai.storage import Workspace
from tests.data.readers.reading import read

FRAME = pl.DataFrame({"id": [1, 2], "name": ["Ada", None], "x": [1.5, -2.0]})


def write(path: Path) -> None:
    if path.suffix == ".json":
        path.write_text(FRAME.write_json())
    elif path.suffix in (".arrow", ".feather"):
        FRAME.write_ipc(path)
    elif path.suffix == ".xlsx":
        FRAME.to_pandas().to_excel(path, index=False)
    else:
        path.write_text(
            "<people><person id='1'><name>Ada</name><x>1.5</x></person>"
            "<person id='2'><name/><x>-2.0</x></person></people>"
        )


@pytest.mark.parametrize("suffix", [".json", ".arrow", ".feather", ".xlsx", ".xml"])
def test_each_format_is_stored_as_it_was(suffix: str, tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / f"people{suffix}"
    write(path)
    table = read_table(path)
    assert table.name == "people"
    assert_frame_equal(table.to_polars(), FRAME, check_dtypes=False)
    assert read_table(path).ref == "people:1"
    (source,) = (n for role, n in workspace.lineage.parents(table.dataset.id) if role == "source")
    assert workspace.objects.get(str(source.digest)) == path.read_bytes()


def test_nested_json(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "visits.json"
    path.write_text('{"made": "today", "rows": [{"a": {"b": 1, "c": {"d": 2}}}, {"a": {"b": 3}}]}')
    flat = read_table(path, flatten=True).to_polars()
    assert flat.columns == ["a.b", "a.c.d"]
    assert flat.rows() == [(1, 2), (3, None)]
    assert read_table(path, name="nested").to_polars()["a"].struct.field("b").to_list() == [1, 3]


def test_sheets(tmp_path: Path, workspace: Workspace) -> None:
    with pd.ExcelWriter(tmp_path / "book.xlsx") as book:
        pd.DataFrame({"a": [1]}).to_excel(book, sheet_name="first", index=False)
        pd.DataFrame({"b": [2]}).to_excel(book, sheet_name="May", index=False)
    assert read_table(tmp_path / "book.xlsx", sheet="May").to_polars().to_dicts() == [{"b": 2}]
    with pytest.raises(InvalidInput, match="no sheet 'June'"):
        read_table(tmp_path / "book.xlsx", sheet="June")
    with pytest.raises(InvalidInput, match="is read without \\['flatten'\\]"):
        read_table(tmp_path / "book.xlsx", flatten=True)


def test_xml_of_many_shapes() -> None:
    plain = read(read_xml, b"<r><v>1</v><v>2</v><w>x</w></r>")[0]
    assert plain.to_dicts() == [{"text": 1}, {"text": 2}]
    zips = read(read_xml, b"<r><p zip='01067'/><p zip='10115'/></r>")[0]
    assert zips["zip"].to_list() == ["01067", "10115"]
    spaced = read(read_xml, b"<n:r xmlns:n='u'><n:p><n:a k='1'>2</n:a></n:p></n:r>")[0]
    assert spaced.to_dicts() == [{"a.k": 1, "a": 2}]
    inner = read(read_xml, b"<r><a><b>1</b></a><c/></r>", record="b")[0]
    assert inner.to_dicts() == [{"text": 1}]
    deep = b"<r><p><home><city>Ulm</city></home><tel>1</tel><tel>2</tel></p><p><tel>3</tel></p></r>"
    assert read(read_xml, deep)[0].to_dicts() == [
        {"home.city": "Ulm", "tel": ["1", "2"]}, {"home.city": None, "tel": ["3"]},
    ]  # fmt: skip
    with pytest.raises(ValueError, match="nested more than"):
        read(read_xml, b"<a>" * 100_000)


def test_a_database(tmp_path: Path, workspace: Workspace) -> None:
    url = f"sqlite:///{tmp_path / 'sales.db'}"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        FRAME.to_pandas().to_sql("people", connection, index=False)
    engine.dispose()
    table = read_table(url, query="select * from people where id < 2", name="people")
    assert table.to_polars().rows() == [(1, "Ada", 1.5)]
    for wrong, query in ((url, "select * from nothing"), ("nothing://x", "select 1"), ("::", "x")):
        with pytest.raises(InvalidInput, match="cannot be read"):
            read_table(wrong, query=query, name="x")
    with pytest.raises(InvalidInput, match="twice"):
        read_table(url, query="select id, id from people", name="x")


def test_the_last_rows_of_a_sheet_decide_its_types_too(tmp_path: Path) -> None:
    values = [*range(2000), "unknown"]
    pd.DataFrame({"dose": values}).to_excel(tmp_path / "a.xlsx", index=False)
    assert read_frame(tmp_path / "a.xlsx")["dose"].to_list() == [str(value) for value in values]


@pytest.mark.parametrize("day", ["1-2-3", "12-01-05", "0000-01-01", "-2024-01-01", "99999-01-01"])
@pytest.mark.parametrize("clock", ["", " 10:00:00", "T10:00:00Z"])
def test_a_day_has_a_year_of_four_digits(day: str, clock: str) -> None:
    frame, _ = read(read_delimited, f"day\n{day}{clock}\n".encode())
    assert frame["day"].to_list() == [day + clock]


@pytest.mark.parametrize("encoding", ["hex", "zlib", "rot13", "base64", "nowhere"])
def test_what_is_no_encoding_of_text_is_refused(encoding: str) -> None:
    with pytest.raises(LookupError, match=encoding):
        read(read_delimited, b"a,b\n1,2\n", encoding=encoding)


@pytest.mark.parametrize("whole", [2**53 + 1, 10**400])
def test_integers_among_floats_keep_their_digits(whole: int) -> None:
    frame, rejects = read(read_ndjson, f'{{"a":{whole}}}\n{{"a":0.5}}\n'.encode())
    assert frame["a"].to_list() == [str(whole), "0.5"]
    assert not len(rejects)
    frame, _ = read(read_ndjson, f'{{"a":{2**60}}}\n{{"a":0.5}}\n'.encode())
    assert frame["a"].to_list() == [2.0**60, 0.5]


def test_flat_columns_of_one_name_are_rejected() -> None:
    lines = b'{"a.b":1}\n{"a.b":1,"a":{"b":2}}\n'
    frame, rejects = read(read_ndjson, lines, flatten=True)
    assert frame["a.b"].to_list() == [1]
    assert [line for line, _, _ in rejects.rows] == [2]
    with pytest.raises(ValueError, match="twice once they are flat"):
        read(read_json, b'[{"a.b":1,"a":{"b":2}}]', flatten=True)


def test_a_file_without_records_says_what_its_lines_are() -> None:
    with pytest.raises(ValueError, match="line 1: no JSON"):
        read(read_ndjson, b'{"a":NaN}\n')
