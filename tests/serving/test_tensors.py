"""Tensors in JSON and in binary, against tritonclient's own serialisation and NumPy."""

import numpy as np
import pytest
from tritonclient.utils import serialize_byte_tensor, triton_to_np_dtype

from lepton_ai.core.errors import InvalidInput
from lepton_ai.serving.tensors import DATATYPES, from_binary, from_json, to_binary, to_json

NUMBERS = sorted(DATATYPES.keys() - {"BYTES"})


def example(text: str) -> np.ndarray:
    wanted = np.dtype(triton_to_np_dtype(text))
    if wanted.kind == "b":
        return np.array([[True, False, True], [False, False, True]])
    if wanted.kind == "f":
        return np.array([[0.5, -2.25, 1e-3], [65504.0, 0.0, -0.0]]).astype(wanted)
    limits = np.iinfo(wanted)
    return np.array([[limits.min, limits.max, 0], [1, 2, 3]], dtype=wanted)


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_pass_through_both_forms(text):
    array = example(text)
    raw = from_binary("x", text, [2, 3], memoryview(array.tobytes()))
    flat = from_json("x", text, [2, 3], to_json(array))
    nested = from_json("x", text, [2, 3], array.tolist())
    for got in (raw, flat, nested):
        assert got.dtype == array.dtype
        assert np.array_equal(got, array)
    assert to_binary(array) == array.tobytes()


def test_strings_are_written_as_tritonclient_writes_them():
    texts = np.array([["straße", ""], ["a\nb", "𝄞" * 300]], dtype=object)
    raw = serialize_byte_tensor(np.char.encode(texts.astype(str), "utf-8").astype(object)).item()
    assert to_binary(texts) == raw
    assert from_binary("x", "BYTES", [2, 2], memoryview(raw)).tolist() == texts.tolist()
    assert from_json("x", "BYTES", [2, 2], texts.tolist()).tolist() == texts.tolist()


def test_null_is_a_missing_number_or_string():
    numbers = from_json("x", "FP32", [2], [1.5, None])
    assert numbers.dtype == np.float32
    assert numbers[0] == 1.5
    assert np.isnan(numbers[1])
    assert from_json("x", "BYTES", [2], ["a", None]).tolist() == ["a", None]


@pytest.mark.parametrize(
    ("text", "shape", "data", "words"),
    [
        ("FP64", [2, 2], [1, 2, 3], "3 elements"),
        ("FP64", [1, 2], ["1", "2"], "not all its elements"),
        ("FP64", [1, 2], [1.0, True], "not all its elements"),
        ("INT64", [2], [1.5, 2], "not all its elements"),
        ("INT64", [1], [None], "not all its elements"),
        ("UINT8", [2], [1, 256], "range of UINT8"),
        ("INT8", [1], [-129], "range of INT8"),
        ("INT64", [1], [2**63], "range of INT64"),
        ("INT64", [1], [2**70], "range of INT64"),
        ("BOOL", [1], [1], "not all its elements"),
        ("BYTES", [1], [1], "must be a string"),
        ("BF16", [1], [1], "datatype 'BF16'"),
        ("FP64", [], [1], "first dimension"),
        ("FP64", [0, 2], [], "first dimension"),
        ("FP64", [-1, 2], [1, 2], "first dimension"),
        ("FP64", [1, 0, 2**62, 2**62], [], "first dimension"),
        ("FP64", [2], [[1], 2], "unevenly"),
        ("FP64", [2], [1, [2]], "not all its elements"),
        ("FP64", [1], 1, "must be an array"),
        ("FP64", [10**9, 10**9, 10**9], [1.0], "1 elements"),
    ],
)
def test_json_that_does_not_fit_is_refused(text, shape, data, words):
    with pytest.raises(InvalidInput, match=words):
        from_json("x", text, shape, data)


@pytest.mark.parametrize(
    ("text", "shape", "data", "words"),
    [
        ("FP32", [2], b"\0" * 7, "7 bytes"),
        ("FP32", [10**9, 10**9], b"\0" * 8, "8 bytes"),
        ("FP32", [1, 0, 2**62, 2**62], b"", "first dimension"),
        ("BOOL", [2], b"\x01\x02", "0 or 1"),
        ("BYTES", [2], b"\x01\0\0\0a", "fewer than the 2 strings"),
        ("BYTES", [10**12], b"\x01\0\0\0a", "fewer than"),
        ("BYTES", [1], b"\x02\0\0\0a", "ends within"),
        ("BYTES", [1], b"\x01\0\0\0ab", "1 bytes too many"),
        ("BYTES", [1], b"\x01\0\0\0\xff", "not UTF-8"),
        ("BYTES", [1], b"\xff\xff\xff\xff", "ends within"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(text, shape, data, words):
    with pytest.raises(InvalidInput, match=words):
        from_binary("x", text, shape, memoryview(data))
