"""Recognising a person in texts, columns and bytes."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.erase.subject import Subject

ADA = Subject(["P-1042", "Зоя Ковальчук"])


@pytest.mark.parametrize("text", ["P-1042", "seen p-1042.", "(P-1042)", "ЗОЯ КОВАЛЬЧУК, 44"])
def test_whole_words_are_found(text: str) -> None:
    assert ADA.named_in(text)
    for coding in ("utf-8", "utf-16-le", "utf-16", "cp1251"):
        assert ADA.named_in_bytes(text.encode(coding))


@pytest.mark.parametrize("text", ["P-10421", "XP-1042", "", "P 1042", "Зоя"])
def test_others_are_not(text: str) -> None:
    assert not ADA.named_in(text)
    assert not ADA.named_in_bytes(text.encode())


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        ("Zdeněk  Wrześniewski", "cp1250"), ("Zdeněk\nWrześniewski", "iso8859_2"),
        ("Wrześniewski^Zdeněk", "utf-8"), ("Тарасенко", "iso8859_5"), ("ТАРАСЕНКО", "koi8_r"),  # noqa: RUF001
        ("Zden%C4%9Bk+Wrze%C5%9Bniewski", "ascii"), ("Zden\\u011Bk Wrze\\u015bniewski", "ascii"),
        ("Zden&#283;k&nbsp;Wrze&#347;niewski", "ascii"),
        ("Zden&#x11B;k Wrze&#x15b;niewski", "ascii"),
    ],
)  # fmt: skip
def test_names_are_found_however_they_are_written(text: str, coding: str) -> None:
    names = ["Zdeněk Wrześniewski", "Wrześniewski Zdeněk", "Тарасенко"]
    assert Subject(names).named_in_bytes(b"of " + text.encode(coding) + b", well")
    assert not Subject(["Zoë Ilić"]).named_in_bytes(text.encode(coding))


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("Zoë Griffith", "Z o ë Griﬃth"), ("Zoë Griffith", "dear ZoëGrif-\nfith,"),
        ("P-1042", "of P\xad-1 0 4 2."), ("P-1042", "P-\n1042"), ("104276", "box 1 0 4 2 7 6"),
        ("7731004201", "77 31004 201"), ("משה כהן", "כהן  משה ,ok"), ("משה כהן", "of משה כהן"),
    ],
)  # fmt: skip
def test_print_is_read_without_its_blanks(word: str, text: str) -> None:
    assert Subject([word]).printed_in(text)
    for other in ("Zoë Griff", "P-1043", "10427", "773100421"):
        assert not Subject([other]).printed_in(text)


def test_two_numbers_in_print_are_no_third() -> None:
    assert not Subject(["104276"]).printed_in("104 276")
    assert not Subject(["Joan Lee"]).printed_in("Joan Leeds")


def test_numbers_are_found_among_numbers_unless_it_is_known_where_identifiers_are() -> None:
    number = Subject(["7731004201"])
    frame = pl.DataFrame(
        {
            "whole": [7731004201, 5, 1, 2, 3, 4, None],
            "float": [0.5, 7731004201.0, 0.5, 0.5, 0.5, 7731004201.5, None],
            "small": pl.Series([1, 2, 3, 4, 5, 6, 7], dtype=pl.Int8),
            "list": [[], [], [1, 7731004201], [], [], [77310042011], None],
            "bytes": [b"", b"", b"", b"of 7731004201", b"17731004201", b"", None],
            "exact": pl.Series(["1"] * 4 + ["7731004201", "1", None]).cast(pl.Decimal(20, 2)),
        }
    )
    assert number.about(frame, []).to_list() == [True] * 5 + [False] * 2
    assert number.about(frame, ["small"]).sum() == 0
    assert number.mentions(frame).to_list() == [False] * 3 + [True] + [False] * 3
    assert number.blackened(frame)["bytes"][3] is None
    assert Subject(["9" * 60, "12345"]).about(frame, []).sum() == 0


_IDS = [1234567, 2019, 5]
_SPELLED = ("1234567", "1234567.0", "1234567.00", "2019", "2019.0")


@pytest.mark.parametrize("word", _SPELLED)
@pytest.mark.parametrize(
    "column",
    [
        pl.Series(_IDS),
        pl.Series(_IDS, dtype=pl.UInt32),
        pl.Series(_IDS, dtype=pl.Float64),
        pl.Series([1234567, 2019, 5.5], dtype=pl.Float32),
        pl.Series([1234567.0, 2019, 5.5]),
        pl.Series([1234567.0, 2019, float("nan")]),
        pl.Series([1234567.0, 2019, 1e300]),
        pl.Series([1234567, 2019, None], dtype=pl.Float64),
        pl.Series(_IDS).cast(pl.Decimal(20, 0)),
        pl.Series(["1234567", "2019", "5.25"]).cast(pl.Decimal(20, 2)),
        pl.Series(["1234567", "2019", "x"]),
        pl.Series(["1234567.0", " 2019.00", "x"]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_a_number_is_found_however_it_is_spelled(word: str, column: pl.Series) -> None:
    frame, subject = column.alias("id").to_frame(), Subject([word])
    for keys in (["id"], []):
        # A short number is looked for only where identifiers are known to be.
        rows = [word[0] == "1", word[0] == "2" and bool(keys), False]
        assert subject.about(frame, keys).to_list() == rows
        apart = [subject.about(frame[row : row + 1], keys).item() for row in range(3)]
        assert apart == rows


def test_short_identifiers_are_only_compared_with_key_columns() -> None:
    seven = Subject(["7"])
    frame = pl.DataFrame({"id": [7, 17, 70], "x": [7.0, 7.0, 7.0], "t": ["7", "a 7", ""]})
    assert seven.about(frame, ["id"]).to_list() == [True, False, False]
    assert seven.about(frame.with_columns(pl.col("id").cast(pl.Float64)), ["id"]).sum() == 1
    assert not seven.mentions(frame).any()
    assert not seven.named_in_bytes(b"7")
    for none in ([], [""], ["  "]):
        with pytest.raises(InvalidInput):
            Subject(none)


def test_rows_of_others_only_lose_the_name() -> None:
    frame = pl.DataFrame(
        {
            "pid": ["P-1042", "P-2", None],
            "note": ["x", "saw P-1042 twice", "y"],
            "list": [["a"], ["P-1042"], ["b"]],
        }
    )
    assert ADA.about(frame, ["pid"]).to_list() == [True, False, False]
    assert ADA.about(frame, []).to_list() == [True, True, False]
    rest = ADA.blackened(frame.slice(1))
    assert rest["note"].to_list() == ["saw [erased] twice", "y"]
    assert rest["list"].to_list() == [None, ["b"]]


def test_facts_lose_the_whole_record_that_names_them() -> None:
    facts = {"path": "/in/P-1042.csv", "n": 3, "rows": [{"id": "P-1042", "age": 4}, {"id": "x"}]}
    assert ADA.redacted(facts) == {
        "path": "[erased]",
        "n": 3,
        "rows": [{"id": "[erased]", "age": None}, {"id": "x"}],
    }


NAMES = st.text(min_size=4, max_size=20).filter(lambda t: t.strip() == t and not t.isdigit())


@given(NAMES, st.text(max_size=30))
def test_a_name_between_blanks_is_always_found(name: str, other: str) -> None:
    subject = Subject([name])
    assert subject.named_in(f"{other} {name} {other}")
    try:
        data = f"{other} {name} {other}".encode()
    except UnicodeEncodeError:
        return
    assert subject.named_in_bytes(data)


def test_names_fall_apart_into_words_and_numbers_do_not() -> None:
    words = Subject(["Zdenka O. Wrzesniewska", "CANARY-7731"]).words()
    assert words is not None
    assert words.identifiers == ("Zdenka", "Wrzesniewska")
    assert Subject(["PATIENT-0042"]).words() is None


def test_facts_keep_their_shape() -> None:
    facts = {
        "columns": {"P-1042": "Int64", "ill": "Int64"},
        "of": {"who": "P-1042", "in": {"n": 1}},
    }
    assert ADA.redacted(facts) == {
        "columns": {"[erased] 0": "Int64", "ill": "Int64"},
        "of": {"who": "[erased]", "in": {"n": None}},
    }
