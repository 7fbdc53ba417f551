import io
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.read_table import read_frame
from lepton_ai.data.readers import Rejects
from lepton_ai.data.readers.excel import read_excel
from tests.data.readers.books import excel, ods, sheet_xml
from tests.data.readers.reading import read

_A1 = '<row r="1"><c r="A1" t="str"><v>a</v></c></row><row r="2"><c r="A2"><v>1</v></c></row>'
_NAME = '<table:table-cell office:value-type="string"><text:p>a</text:p></table:table-cell>'
_ONE = '<table:table-cell office:value-type="float" office:value="1"{}/>'
_ROW = "<table:table-row{}>{}</table:table-row>"
_HEAD = _ROW.format("", _NAME)


@pytest.mark.parametrize(
    "data",
    [
        sheet_xml(_A1 + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
        sheet_xml(_A1 + '<row r="3"><c r="xfd1048576"><v>1</v></c></row>'),
        sheet_xml(_A1 + '<row r="1048576"><c><v>1</v></c><c r="XFD3"><v>1</v></c></row>'),
        b"junk" + sheet_xml(_A1 + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
        ods(_HEAD + _ROW.format("", _ONE.format(' table:number-columns-repeated="2000000000"'))),
        ods(_HEAD + _ROW.format(' table:number-rows-repeated="2000000000"', _ONE.format(""))),
        ods(
            _HEAD
            + _ROW.format(' table:number-rows-repeated="1048575"', "<table:table-cell/>")
            + _ROW.format(
                "",
                '<table:table-cell table:number-columns-repeated="16383"/>' + _ONE.format(""),
            )
        ),
        ods(_HEAD + _ROW.format("", _NAME.replace("a<", '<text:s text:c="90000000000"/><'))),
    ],
    ids=["far", "lower", "counted", "prefixed", "columns", "rows", "corner", "blanks"],
)
def test_a_sheet_that_spans_too_much_is_refused_before_it_is_read(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cells, and no more than 100,000,000 are read"):
        read(read_excel, data)


def test_empty_cells_that_repeat_to_the_end_take_no_room() -> None:
    most = '<table:table-cell table:number-columns-repeated="16383"/>'
    rest = _ROW.format(' table:number-rows-repeated="1048574"', most)
    found, _ = read(
        read_excel, ods(_ROW.format("", _NAME + most) + _ROW.format("", _ONE.format("")) + rest)
    )
    assert found.to_dicts() == [{"a": 1.0}]


def test_a_sheet_that_declares_entities_is_refused() -> None:
    with pytest.raises(ValueError, match="declares entities"):
        read(read_excel, sheet_xml(_A1, before='<!DOCTYPE r [<!ENTITY e "ha">]>'))


REPORT = excel(
    ["Report for January"], [], ["name", "dose", "seen"], ["Ada", 2, "yes"], ["Bob", 3, None]
)


def test_a_title_above_the_header_is_told_with_the_first_rows_and_the_option() -> None:
    with pytest.raises(ValueError, match="header_row=3 ") as told:
        read(read_excel, REPORT)
    assert "row 1: Report for January" in str(told.value)
    assert "row 3: name | dose | seen" in str(told.value)
    assert "--header-row" in str(told.value)


def test_the_row_that_names_the_columns_can_be_given() -> None:
    found, _ = read(read_excel, REPORT, header_row=3)
    assert found.to_dicts() == [
        {"name": "Ada", "dose": 2.0, "seen": "yes"},
        {"name": "Bob", "dose": 3.0, "seen": None},
    ]
    with pytest.raises(ValueError, match="no row 9: its sheet ends with row 5"):
        read(read_excel, REPORT, header_row=9)
    with pytest.raises(InvalidInput, match="counted from 1"):
        read(read_excel, REPORT, header_row=0)


@pytest.mark.parametrize("above", [0, 2])
@pytest.mark.parametrize("left", [0, 1])
def test_rows_and_columns_before_the_table_may_be_empty(above: int, left: int) -> None:
    blank: list[Any] = [None] * left
    data = excel(*[[]] * above, [*blank, "a", None, "b"], [*blank, 1, None, "x"])
    assert read(read_excel, data)[0].to_dicts() == [{"a": 1.0, "b": "x"}]


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\['a'\] occur more than once"):
        read(read_excel, excel(["title"], ["a", "a"], [1, 2]), header_row=2)


ERRORS = ["#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"]


@pytest.mark.parametrize("error", ERRORS)
def test_a_row_with_an_error_cell_is_rejected(error: str) -> None:
    data = excel(["a", "b"], [1, "x"], [error, "y"], [3, "#N/A"])
    rejects = Rejects(keep=False)
    assert not [*read_excel(io.BytesIO(data), rejects)]
    assert rejects.rows == [(3, f"error: column 'a' holds {error}", " | y")]


def test_rows_without_an_error_cell_are_kept() -> None:
    data = excel(["title"], ["a", "b"], [1, "x"], ["#DIV/0!", "y"], [3, "#N/A"])
    found, rejects = read(read_excel, data, header_row=2)
    assert found.rows() == [(1.0, "x"), (3.0, None)]
    assert [line for line, _, _ in rejects.rows] == [4]


def test_times_without_a_date_are_times_of_day() -> None:
    morning, moment = time(8, 30), datetime(2026, 1, 2, 8, 30)
    found, _ = read(read_excel, excel(["t", "m"], [morning, moment], [None, moment]))
    assert found.rows() == [(morning, moment), (None, moment)]


def test_an_empty_sheet_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "visits.xlsx").write_bytes(excel())
    with pytest.raises(InvalidInput, match=r"visits\.xlsx .* sheet is empty"):
        read_frame(tmp_path / "visits.xlsx")


def test_a_column_without_a_value_is_read_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    found, _ = read(read_excel, excel(["a", "b"], [1, None]))
    assert found.rows() == [(1.0, None)]
    assert not caplog.records
