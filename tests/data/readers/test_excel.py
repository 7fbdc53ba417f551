import pytest

from lepton_ai.data.readers.excel import read_excel
from tests.data.readers.books import ods, sheet_xml
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
