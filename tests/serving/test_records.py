"""What a refusal shows of a right body."""

import json

import pytest

from lepton_ai.ml.bundle.signature import Field, Signature
from lepton_ai.ml.outcome import Classes
from lepton_ai.serving.records import example

OUTPUTS = Classes(("a", "b")).fields


def test_a_right_body_is_shown_whole():
    inputs = (Field("age", "FP64", (-1,)), Field("smoker", "BOOL", (-1,)))
    shown = example(Signature("table", inputs, OUTPUTS))
    assert json.loads(shown) == {"age": 0.5, "smoker": True}
    shown = example(Signature("array", (Field("X", "FP64", (-1, 3)),), OUTPUTS))
    assert json.loads(shown) == [[0.5, 0.5, 0.5]]


@pytest.mark.parametrize("columns", [51, 4000])
def test_of_many_columns_fifty_are_shown(columns):
    inputs = tuple(Field(f"c{number}", "FP64", (-1,)) for number in range(columns))
    shown = example(Signature("table", inputs, OUTPUTS))
    assert '"c49":0.5,...}' in shown
    assert "c50" not in shown
    assert f"{columns} columns" in shown
    shown = example(Signature("array", (Field("X", "FP64", (-1, columns)),), OUTPUTS))
    assert shown.startswith("[[" + "0.5," * 50 + "...]]")
    assert len(shown) < 280
