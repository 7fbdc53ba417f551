"""Personal data is found by form, checksum, context and name; figures are left alone."""

# ruff: noqa: RUF001 (words of several alphabets)

import random
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from stdnum import iban, luhn
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.pl import pesel

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.privacy.detect import find_personal, personal_in, redact, tag_personal
from lepton_ai.data.read_table import read_frame, read_table
from lepton_ai.data.table import Table
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace

DICE = random.Random(4)


def digits(count: int) -> str:
    return "".join(DICE.choice("0123456789") for _ in range(count))


def valid(make, check):
    while not check(value := make()):
        pass
    return value


COLUMNS = {
    "e-mail": lambda: f"p{digits(4)}@mail.example.org",
    "IBAN": lambda: valid(lambda: f"DE{digits(20)}", iban.is_valid),
    "payment card": lambda: valid(lambda: f"4{digits(15)}", luhn.is_valid),
    "British NHS number": lambda: valid(
        lambda: f"{digits(3)} {digits(3)} {digits(4)}", nhs.is_valid
    ),
    "Polish PESEL": lambda: valid(
        lambda: (
            f"{DICE.randint(40, 99)}{DICE.randint(1, 12):02}{DICE.randint(1, 28):02}{digits(5)}"
        ),
        pesel.is_valid,
    ),
    "French social security number": lambda: valid(
        lambda: (v := f"1{DICE.randint(10, 99)}0175{digits(6)}") + nir.calc_check_digits(v),
        nir.is_valid,
    ),
    "IP address": lambda: f"10.{DICE.randint(0, 255)}.{DICE.randint(0, 255)}.7",
    "MAC address": lambda: ":".join(f"{DICE.randint(0, 255):02x}" for _ in range(6)),
    "telephone number": lambda: f"+44 20 7946 0{digits(3)}",
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_each_kind_is_known_by_its_values_alone(kind: str) -> None:
    frame = pl.DataFrame({"x17": [COLUMNS[kind]() for _ in range(200)]})
    (found,) = find_personal(frame)
    assert found.kind == kind
    assert found.confidence == "certain" or kind == "telephone number"
    # What only looks like one is none: a digit off, and the checksum fails.
    if kind in ("IBAN", "payment card", "British NHS number", "French social security number"):
        flipped = frame.with_columns(
            pl.col("x17").str.head(-1) + (10 - pl.col("x17").str.tail(1).cast(pl.Int64) % 9 - 1)
            .cast(pl.String)
        )  # fmt: skip
        assert all(one.kind != kind for one in find_personal(flipped))


def test_names_of_columns_tell_what_values_cannot() -> None:
    frame = pl.DataFrame(
        {
            "PatientName": [f"Doe{n}^Ada" for n in range(30)],
            "date_of_birth": ["1950-01-01"] * 30,
            "patient_id": list(range(30)),
            "Sex": ["f", "m"] * 15,
            "age": list(range(30)),
            "plz": ["10115"] * 30,
            "tablename": ["a"] * 30,
            "name": ["steel", "iron"] * 15,
            "pressure": [float(n) for n in range(30)],
        }
    )
    found = {one.column: (one.kind, one.tag) for one in find_personal(frame)}
    assert found == {
        "PatientName": ("name", "personal"),
        "date_of_birth": ("date of birth", "personal"),
        "patient_id": ("identifier", "personal"),
        "Sex": ("sex", "quasi"),
        "age": ("age", "quasi"),
        "plz": ("postal code", "quasi"),
    }


TEXT = (
    "Dr. Jane van der Berg saw patient Ivan Petrenko (tel +44 20 7946 0958, a.b@c.org), "
    "IBAN DE89 3704 0044 0532 0130 00. Пан Тарас Шевченко. Blood pressure 120/80, 37.2 C, "
    "2026-11-24, dose 12345678 units."
)


def test_free_text_is_redacted_and_figures_stay() -> None:
    assert redact(TEXT) == (
        "Dr. [name] saw patient [name] (tel [telephone number], [e-mail]), IBAN [IBAN]. "
        "Пан [name]. Blood pressure 120/80, 37.2 C, 2026-11-24, dose 12345678 units."
    )
    spans = personal_in(TEXT)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    notes = pl.DataFrame({"note": [TEXT, *["all was well on this day"] * 30]})
    (found,) = find_personal(notes)
    assert found.share == pytest.approx(1 / 31)
    assert "Petrenko" not in found.evidence


def test_measurements_are_left_alone(datasets: Path) -> None:
    for load in (load_breast_cancer, load_wine, load_diabetes):
        found = find_personal(load(as_frame=True).frame)
        assert {one.column for one in found} <= {"age", "sex"}
    credit = read_frame(next((datasets / "finance").rglob("*.arff")))
    assert {one.kind for one in find_personal(credit)} <= {"age", "telephone number"}
    machines = read_frame(next((datasets / "manufacturing").rglob("ai4i*.csv")))
    assert find_personal(machines) == []


def test_tags_decide_who_sees(workspace: Workspace) -> None:
    frame = pl.DataFrame({"mail": [f"p{n}@x.org" for n in range(30)], "n": range(30)})
    table = read_table(frame, name="people")
    tag_personal(table, find_personal(table))
    with acting_as("guest"):
        seen = open_dataset("people", workspace)
        assert isinstance(seen, Table)
        assert set(seen.to_polars()["mail"]) == {"***"}
        (found,) = find_personal(seen)  # by the column's name alone
        assert found.share is None
    with pytest.raises(InvalidInput):
        find_personal(frame, sample=0)
    assert find_personal(frame.clear()) == []
