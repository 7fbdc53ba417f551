"""The Open Inference Protocol, against the bytes that tritonclient writes and reads."""

import json

import numpy as np
import pytest
import tritonclient.http as triton

from lepton_ai.core.errors import InvalidInput
from lepton_ai.serving import oip
from lepton_ai.serving.messages import HttpError


def request(*inputs: tuple[str, np.ndarray, str, bool], **options) -> tuple[bytes, bytes | None]:
    given = []
    for name, array, datatype, binary in inputs:
        tensor = triton.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array, binary_data=binary)
        given.append(tensor)
    body, size = triton.InferenceServerClient.generate_request_body(given, **options)
    return body, None if size is None else str(size).encode()


@pytest.mark.parametrize("binary", [(True, True), (False, False), (True, False), (False, True)])
def test_reads_what_tritonclient_writes(binary):
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    words = np.array(["käse", "b"], dtype=object)
    body, size = request(
        ("numbers", numbers, "FP32", binary[0]),
        ("words", words, "BYTES", binary[1]),
        request_id="r-1",
    )
    got = oip.decode(body, size)
    assert np.array_equal(got.inputs["numbers"], numbers)
    assert got.inputs["words"].tolist() == ["käse", "b"]
    assert (got.id, got.rows) == ("r-1", 2)


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_reads_what_is_written(binary):
    asked = [
        triton.InferRequestedOutput("probabilities", binary_data=binary),
        triton.InferRequestedOutput("label", binary_data=binary),
    ]
    x = np.zeros((2, 1))
    given = oip.decode(*request(("x", x, "FP64", True), outputs=asked, request_id="me"))
    chances = np.array([[0.25, 0.75], [1.0, 0.0]])
    body, headers = oip.encode(
        given,
        [
            oip.Output("label", "BYTES", np.array(["b", "ä"], dtype=object)),
            oip.Output("probabilities", "FP64", chances),
        ],
        "m",
        "3",
        {"prediction_id": "prd_1"},
    )
    size = dict(headers).get(b"inference-header-content-length")
    assert (size is not None) == binary
    answer = triton.InferenceServerClient.parse_response_body(
        body, header_length=None if size is None else int(size)
    )
    assert np.array_equal(answer.as_numpy("probabilities"), chances)
    label = answer.as_numpy("label").tolist()
    assert [t.decode() if isinstance(t, bytes) else t for t in label] == ["b", "ä"]
    said = answer.get_response()
    assert (said["id"], said["model_name"], said["model_version"]) == ("me", "m", "3")
    assert said["parameters"]["prediction_id"] == "prd_1"


def test_only_the_outputs_that_were_asked_for_come_back():
    asked = [triton.InferRequestedOutput("label", binary_data=False)]
    given = oip.decode(*request(("x", np.zeros((1, 1)), "FP64", False), outputs=asked))
    outputs = [
        oip.Output("label", "BYTES", np.array(["a"], dtype=object)),
        oip.Output("probabilities", "FP64", np.ones((1, 1))),
    ]
    body, _ = oip.encode(given, outputs, "m", "1", {})
    assert [output["name"] for output in json.loads(body)["outputs"]] == ["label"]
    with pytest.raises(InvalidInput, match="no output label"):
        oip.encode(given, outputs[1:], "m", "1", {})


INPUT = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "missing required field"),
        ({"inputs": []}, "no inputs"),
        ({"inputs": [{**INPUT, "data": None}]}, "no data"),
        ({"inputs": [INPUT, INPUT]}, "stands twice"),
        ({"inputs": [INPUT, {**INPUT, "name": "y", "shape": [2, 1]}]}, "different numbers of rows"),
        ({"inputs": [{**INPUT, "parameters": {"binary_data_size": 16}}]}, "binary_data_size 16"),
        ({"inputs": [{**INPUT, "parameters": {"binary_data_size": -1}}]}, "binary_data_size -1"),
        ({"inputs": [{**INPUT, "parameters": {"binary_data_size": True}}]}, "binary_data_size"),
        ({"inputs": [{**INPUT, "shape": ["1"]}]}, "Expected `int`"),
        ({"inputs": [{**INPUT, "shape": [1] * 65}]}, "length <= 64"),
        ({"inputs": [{**INPUT, "shape": [1, 2**63]}]}, "Expected `int` <="),
        ({"inputs": [{**INPUT, "shape": [1, 0, 2**62], "data": []}]}, "at least 1"),
        ({"inputs": [{**INPUT, "parameters": {"shared_memory_region": "r"}}]}, "shared memory"),
        (
            {"inputs": [INPUT], "outputs": [{"name": "l", "parameters": {"classification": 2}}]},
            "classification",
        ),
    ],
)
def test_what_does_not_fit_is_refused(document, words):
    with pytest.raises(InvalidInput, match=words):
        oip.decode(json.dumps(document).encode(), None)


@pytest.mark.parametrize(
    ("body", "length", "words"),
    [
        (b"{", None, "not JSON"),
        (b"\xff\xfe", None, "not JSON"),
        (b"{}", b"3", "must be the length"),
        (b"{}", b"-1", "must be the length"),
        (b"{}", b"1x", "must be the length"),
        (b"{}", b"9" * 5000, "must be the length"),
    ],
)
def test_what_is_no_document_is_a_bad_request(body, length, words):
    with pytest.raises(HttpError, match=words) as refused:
        oip.decode(body, length)
    assert refused.value.status == 400


def test_bytes_after_the_last_tensor_are_refused():
    body, size = request(("x", np.zeros((1, 2)), "FP64", True))
    with pytest.raises(InvalidInput, match="1 bytes follow"):
        oip.decode(body + b"\0", size)
