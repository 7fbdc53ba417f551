"""The running server over HTTP: every answer, and every refusal."""

import gzip
import io
import json
import shutil
import socket
from collections.abc import Iterator
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import tritonclient.http as triton
import urllib3
from PIL import Image
from sklearn.datasets import load_digits

from lepton_ai.ml.predictor import Predictor
from lepton_ai.ml.registry import get as get_model
from lepton_ai.security.tokens import workspace_token
from lepton_ai.serving.client import Client
from lepton_ai.serving.deployment import deploy_model
from lepton_ai.serving.receipts import receipt
from tests.serving.conftest import COLUMNS, open_workspace, records, stop, tumours

ROWS = tumours()[0]
LIMIT = 1_000_000


@pytest.fixture(scope="module")
def server(trained, tmp_path_factory) -> Iterator[SimpleNamespace]:
    home = tmp_path_factory.mktemp("server") / "home"
    shutil.copytree(trained, home)
    workspace = open_workspace(home, LEPTON_MAX_REQUEST_BYTES=str(LIMIT))
    try:
        deploy_model("tumour", workspace=workspace)
        deploy_model("rows", workspace=workspace)
        url = deploy_model("digits", workspace=workspace).url.partition("/models")[0]
        token = workspace_token(workspace)
        pool = urllib3.PoolManager(headers={"authorization": f"Bearer {token}"}, retries=False)

        def call(method: str, path: str, body: bytes | None = None, **headers: str):
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            return pool.request(method, url + path, body=body, headers=pool.headers | named)

        yield SimpleNamespace(
            workspace=workspace,
            url=url,
            port=int(url.rpartition(":")[2]),
            call=call,
            auth={"authorization": f"Bearer {token}"},
            predictor=lambda name: Predictor.load(workspace, workspace.lineage.find("model", name)),
        )
        pool.clear()
    finally:
        stop(workspace)


def said(response) -> dict:
    """The body of a refusal: one form for all of them, without a word of the code."""
    body = response.json()
    assert sorted(body) == ["error", "request_id"]
    assert body["request_id"].startswith("req_")
    assert "Traceback" not in body["error"]
    return body


JSON = "application/json"


# -- answers --------------------------------------------------------------------------------


def test_records_get_the_predictions_of_the_predictor(server):
    predictor = server.predictor("tumour")
    expected = predictor.run(predictor.features(records(ROWS[:50])))
    body = json.dumps(records(ROWS[:50])).encode()
    answer = server.call("POST", "/models/tumour/predict", body, content_type=JSON)
    assert answer.status == 200
    got = answer.json()
    assert (got["model"], got["version"]) == ("tumour", 3)
    assert answer.headers["lepton-prediction-id"] == got["id"]
    assert answer.headers["lepton-model-version"] == "3"
    assert [p["label"] for p in got["predictions"]] == predictor.labels(expected)
    chances = [[p["probabilities"][c] for c in predictor.classes] for p in got["predictions"]]
    assert np.array_equal(np.array(chances), expected)


def test_one_record_with_a_gap_and_no_content_type(server):
    record = records(ROWS[:1])[0] | {COLUMNS[3]: None}
    answer = server.call("POST", "/models/tumour/predict", json.dumps(record).encode())
    predictor = server.predictor("tumour")
    expected = predictor.run(predictor.features([record]))
    (got,) = answer.json()["predictions"]
    assert list(got["probabilities"].values()) == expected[0].tolist()


def test_rows_of_numbers(server):
    predictor = server.predictor("rows")
    expected = predictor.run(predictor.features_from_tensors({"X": ROWS[:4]}))
    for rows in (ROWS[:4], ROWS[0]):
        body = json.dumps(rows.tolist()).encode()
        answer = server.call("POST", "/models/rows/predict", body, content_type=JSON)
        got = [list(p["probabilities"].values()) for p in answer.json()["predictions"]]
        assert got == expected[: len(got)].tolist()


# -- explanations ---------------------------------------------------------------------------


def test_an_explanation_adds_up_to_the_answer_of_its_receipt(server):
    body = json.dumps(records(ROWS[:2])).encode()
    answer = server.call("POST", "/models/tumour/explain?about=malignant", body)
    assert answer.status == 200
    got = answer.json()
    assert [each["about"] for each in got["explanations"]] == ["malignant"] * 2
    kept = receipt(server.workspace, got["id"])
    assert kept.matches(server.workspace, body)
    for each, output in zip(got["explanations"], kept.output, strict=True):
        assert each["prediction_id"] == got["id"] == answer.headers["lepton-prediction-id"]
        assert each["prediction"] == output
        total = each["base"] + sum(item["contribution"] for item in each["contributions"])
        assert total == pytest.approx(output["probabilities"]["malignant"], abs=1e-6)
        assert {item["column"] for item in each["contributions"]} == set(COLUMNS)
    value = {item["column"]: item["value"] for item in got["explanations"][0]["contributions"]}
    assert value == records(ROWS[:1])[0]


def test_the_client_explains_records_rows_and_images(server):
    client = Client(server.url, server.auth["authorization"].removeprefix("Bearer "))
    one = client.explain("tumour", records(ROWS[:1])[0])
    assert one.method == "exact Shapley values of trees"
    model = get_model("tumour", server.workspace)
    again = model.explain(records(ROWS[:1])[0])
    assert msgspec.structs.replace(one, prediction_id="") == again
    (row,) = client.explain("rows", ROWS[:1])
    assert row.contributions[0].column.startswith("x")
    picture = client.explain("digits", digit(11), method="sampled", samples=2)
    assert picture.heat is not None
    assert picture.heat.shape == (8, 8)
    assert picture.heat.array("picture").max() == 1
    assert sum(picture.heat.values) == pytest.approx(picture.answer - picture.base)
    client.close()


@pytest.mark.parametrize(
    ("path", "rows", "status", "words"),
    [
        ("tumour/explain?about=nobody", 1, 422, "benign, malignant"),
        ("tumour/explain?method=magic", 1, 422, "auto, own, exact"),
        ("tumour/explain?samples=100000", 1, 422, "1000"),
        ("tumour/explain?colour=red", 1, 422, "about"),
        ("tumour/explain?method=exact", 1, 422, "sampled"),
        ("tumour/explain", 33, 422, "up to 32"),
        ("nobody/explain", 1, 404, "nobody"),
    ],
)
def test_what_cannot_be_explained_says_why(server, path, rows, status, words):
    body = json.dumps(records(ROWS[:rows])).encode()
    answer = server.call("POST", f"/models/{path}", body)
    assert answer.status == status
    assert words in said(answer)["error"]


def test_an_explanation_needs_a_token(server):
    with urllib3.PoolManager(retries=False) as pool:
        assert pool.request("POST", f"{server.url}/models/tumour/explain", body=b"{}").status == 401


def digit(index: int, form: str = "png") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((load_digits().images[index] * 15).astype(np.uint8)).save(buffer, form)
    return buffer.getvalue()


def test_an_uploaded_image_raw_and_in_a_form(server):
    files = [digit(index) for index in (0, 1, 10, 11)]
    truth = [str(load_digits().target[index]) for index in (0, 1, 10, 11)]
    raw = [
        server.call("POST", "/models/digits/predict", data, content_type="image/png").json()
        for data in files
    ]
    body, content_type = urllib3.encode_multipart_formdata(
        [("file", (f"{i}.png", data)) for i, data in enumerate(files)]
    )
    form = server.call("POST", "/models/digits/predict", body, content_type=content_type).json()
    assert [answer["predictions"][0]["label"] for answer in raw] == truth
    assert form["predictions"] == [answer["predictions"][0] for answer in raw]


def test_an_image_as_a_tensor_says_the_same_as_its_file(server):
    pixels = np.asarray(Image.open(io.BytesIO(digit(11))))
    signature = server.predictor("digits").signature.inputs[0]
    dtype = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}[signature.datatype]
    tensor = triton.InferInput(signature.name, [1, 8, 8], signature.datatype)
    tensor.set_data_from_numpy(pixels[np.newaxis].astype(dtype))
    with triton_client(server) as client:
        answer = client.infer("digits", [tensor], headers=dict(server.auth))
    file = server.call("POST", "/models/digits/predict", digit(11), content_type="image/png").json()
    chances = list(file["predictions"][0]["probabilities"].values())
    assert answer.as_numpy("probabilities")[0].tolist() == chances


def test_a_compressed_body(server):
    body = json.dumps(records(ROWS[:1])).encode()
    plain = server.call("POST", "/models/tumour/predict", body, content_type=JSON).json()
    packed = server.call(
        "POST",
        "/models/tumour/predict",
        gzip.compress(body),
        content_type=JSON,
        content_encoding="gzip",
    ).json()
    assert packed["predictions"] == plain["predictions"]


def test_the_index_and_the_models(server):
    index = server.call("GET", "/").json()
    assert {"method", "path", "permission", "summary"} == set(index["routes"][0])
    models = {model["name"]: model for model in server.call("GET", "/models").json()}
    assert models.keys() == {"tumour", "rows", "digits"}
    assert models["tumour"]["version"] == 3
    assert models["tumour"]["classes"] == ["benign", "malignant"]
    head = server.call("HEAD", "/models")
    assert (head.status, head.data) == (200, b"")


def test_every_answer_has_a_receipt(server):
    body = json.dumps(records(ROWS[:2])).encode()
    answer = server.call("POST", "/models/tumour/predict", body, content_type=JSON).json()
    found = receipt(server.workspace, answer["id"])
    assert found.output == answer["predictions"]
    assert found.matches(server.workspace, body)
    assert not found.matches(server.workspace, body + b" ")
    file = server.call("POST", "/models/digits/predict", digit(0), content_type="image/png").json()
    assert receipt(server.workspace, file["id"]).matches(server.workspace, digit(0))


# -- the Open Inference Protocol, by tritonclient ---------------------------------------------


def triton_client(server) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(f"127.0.0.1:{server.port}")


def column_inputs(rows: np.ndarray, *, binary: bool, width: int | None = None) -> list:
    inputs = []
    for name, values in zip(COLUMNS, rows.T, strict=True):
        shape = [len(values)] if width is None else [len(values), width]
        tensor = triton.InferInput(name, shape, "FP64")
        tensor.set_data_from_numpy(np.ascontiguousarray(values.reshape(shape)), binary_data=binary)
        inputs.append(tensor)
    return inputs


@pytest.mark.parametrize("width", [None, 1])
@pytest.mark.parametrize("binary", [True, False])
def test_infer_gives_the_predictors_output(server, binary, width):
    predictor = server.predictor("tumour")
    expected = predictor.run(predictor.features(records(ROWS[:40])))
    outputs = [
        triton.InferRequestedOutput(name, binary_data=binary) for name in ("label", "probabilities")
    ]
    with triton_client(server) as client:
        for version in ("", "3"):
            answer = client.infer(
                "tumour",
                column_inputs(ROWS[:40], binary=binary, width=width),
                model_version=version,
                outputs=outputs,
                request_id="mine",
                headers=dict(server.auth),
            )
            assert np.array_equal(answer.as_numpy("probabilities"), expected)
            labels = answer.as_numpy("label").tolist()
            labels = [t.decode() if isinstance(t, bytes) else t for t in labels]
            assert labels == predictor.labels(expected)
            response = answer.get_response()
            assert (response["id"], response["model_version"]) == ("mine", "3")
            prediction_id = response["parameters"]["prediction_id"]
            output = receipt(server.workspace, prediction_id).output
            assert [row["label"] for row in output] == labels


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_infer_with_one_matrix_compressed(server, algorithm):
    predictor = server.predictor("rows")
    tensor = triton.InferInput("X", list(ROWS.shape), "FP64")
    tensor.set_data_from_numpy(ROWS)
    with triton_client(server) as client:
        answer = client.infer(
            "rows", [tensor], headers=dict(server.auth), request_compression_algorithm=algorithm
        )
    expected = predictor.run(predictor.features_from_tensors({"X": ROWS}))
    assert np.array_equal(answer.as_numpy("probabilities"), expected)


def test_health_and_metadata(server):
    with triton_client(server) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("tumour", headers=dict(server.auth))
        assert client.is_model_ready("tumour", "3", headers=dict(server.auth))
        assert not client.is_model_ready("tumour", "1", headers=dict(server.auth))
        assert not client.is_model_ready("absent", headers=dict(server.auth))
        assert client.get_server_metadata(headers=dict(server.auth))["extensions"] == [
            "binary_tensor_data"
        ]
        metadata = client.get_model_metadata("tumour", headers=dict(server.auth))
    assert (metadata["name"], metadata["versions"]) == ("tumour", ["3"])
    assert [given["name"] for given in metadata["inputs"]] == COLUMNS
    assert [given["name"] for given in metadata["outputs"]] == ["label", "probabilities"]


def test_tritonclient_is_told_what_is_wrong(server):
    with triton_client(server) as client:
        with pytest.raises(triton.InferenceServerException, match="missing"):
            client.infer(
                "tumour", column_inputs(ROWS[:1], binary=True)[1:], headers=dict(server.auth)
            )
        with pytest.raises(triton.InferenceServerException, match="no output nonsense"):
            client.infer(
                "tumour",
                column_inputs(ROWS[:1], binary=True),
                outputs=[triton.InferRequestedOutput("nonsense")],
                headers=dict(server.auth),
            )
        with pytest.raises(triton.InferenceServerException, match="serves version 3, not 2"):
            client.infer(
                "tumour",
                column_inputs(ROWS[:1], binary=True),
                model_version="2",
                headers=dict(server.auth),
            )
        with pytest.raises(triton.InferenceServerException, match="workspace's token"):
            client.infer("tumour", column_inputs(ROWS[:1], binary=True))


# -- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic {token}",
        "{token}",
        "Bearer {token}x",
        "Bearer \u00ff",
    ],
)
def test_without_the_token_nothing_is_answered_but_the_probes(server, header):
    token = server.auth["authorization"].partition(" ")[2]
    headers = {} if header is None else {"authorization": header.format(token=token)}
    with urllib3.PoolManager(retries=False) as pool:
        for method, path in [
            ("GET", "/"),
            ("GET", "/models"),
            ("GET", "/v2"),
            ("GET", "/v2/models/tumour"),
            ("POST", "/models/tumour/predict"),
            ("POST", "/v2/models/tumour/infer"),
            # Which paths and models exist is not told either.
            ("GET", "/nothing"),
            ("DELETE", "/models"),
            ("POST", "/models/absent/predict"),
        ]:
            response = pool.request(method, server.url + path, headers=headers)
            assert response.status == 401, path
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert token not in said(response)["error"]
        for path in ("/v2/health/live", "/v2/health/ready"):
            assert pool.request("GET", server.url + path, headers=headers).status == 200


def test_the_scheme_is_read_in_any_case(server):
    token = server.auth["authorization"].partition(" ")[2]
    assert server.call("GET", "/models", authorization=f"bearer   {token}").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nothing", 404, "GET / lists"),
        ("GET", "/models/tumour/predict", 405, "takes POST, not GET"),
        ("DELETE", "/models", 405, "takes GET, not DELETE"),
        ("POST", "/models/absent/predict", 404, "digits, rows, tumour"),
        ("POST", "/v2/models/absent/infer", 404, "no model is deployed as 'absent'"),
        ("POST", "/models/..%2F..%2Fetc%2Fpasswd/predict", 404, "nothing at"),
        ("GET", "/v2/models/%00/ready", 404, "no model"),
        ("POST", "/v2/models/tumour/versions/9/infer", 404, "serves version 3, not 9"),
    ],
)
def test_unknown_paths_models_and_methods(server, method, path, status, words):
    response = server.call(method, path)
    assert response.status == status
    assert words in said(response)["error"]


GOOD = records(ROWS[:1])[0]


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status", "words"),
    [
        ("tumour", b"{", JSON, 400, "not JSON"),
        ("tumour", b"", JSON, 400, "not JSON"),
        ("tumour", b"\xff\xfe", JSON, 400, "not JSON"),
        ("tumour", b"[" * 5000, JSON, 422, "right body"),
        ("tumour", b"[]", JSON, 422, "no record"),
        ("tumour", b"3", JSON, 422, "right body"),
        ("tumour", b"null", JSON, 422, "right body"),
        ("tumour", b"[[1, 2]]", JSON, 422, "right body"),
        ("tumour", b'{"mean_radius": 1}', JSON, 422, "mean_texture"),
        ("tumour", json.dumps(GOOD | {"extra": 1}).encode(), JSON, 422, "extra"),
        ("tumour", json.dumps(GOOD | {"mean_radius": "wide"}).encode(), JSON, 422, "mean_radius"),
        ("tumour", json.dumps(GOOD | {"mean_radius": [1]}).encode(), JSON, 422, "right body"),
        ("tumour", json.dumps(GOOD | {"mean_radius": 2**70}).encode(), JSON, 422, "right body"),
        ("tumour", b"a,b\n1,2", "text/csv", 415, "application/json"),
        ("tumour", b"x", "image/png", 415, "application/json"),
        ("rows", b"[[1, 2]]", JSON, 422, "0.5"),
        ("rows", b"[[1], [1, 2]]", JSON, 422, "same length"),
        ("rows", b"[]", JSON, 422, "same length"),
        ("rows", b'["a"]', JSON, 422, "right body"),
        ("digits", b"{}", JSON, 415, "brings no file"),
        ("digits", b"", "image/png", 422, "empty"),
        ("digits", b"not an image", "image/png", 422, "unsupported"),
        ("digits", digit(0)[:60], "image/png", 422, ""),
        ("digits", b"\x93NUMPY", "application/octet-stream", 422, ""),
        ("digits", b"x", "multipart/form-data; boundary=b", 400, "form"),
    ],
)
def test_bodies_that_do_not_fit(server, path, body, content_type, status, words):
    response = server.call("POST", f"/models/{path}/predict", body, content_type=content_type)
    assert response.status == status, response.data
    assert words in said(response)["error"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b"{}", 422, "inputs"),
        (b'{"inputs": [' + b"[" * 100_000, 422, "Expected `object`"),
        (
            b'{"inputs": [{"name": "X", "shape": [1, 30], "datatype": "FP64", "data": '
            + b"[" * 100_000,
            400,
            "not JSON",
        ),
        (
            b'{"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}',
            422,
            "30",
        ),
        (
            b'{"inputs": [{"name": "Y", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}',
            422,
            "'X'",
        ),
        (
            b'{"inputs": [{"name": "X", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}',
            422,
            "",
        ),
    ],
)
def test_tensors_that_do_not_fit(server, body, status, words):
    response = server.call("POST", "/v2/models/rows/infer", body, content_type=JSON)
    assert response.status == status, response.data
    assert words in said(response)["error"]


def test_an_image_of_another_shape_is_refused_in_words(server):
    buffer = io.BytesIO()
    Image.new("L", (9, 7)).save(buffer, "png")
    response = server.call(
        "POST", "/models/digits/predict", buffer.getvalue(), content_type="image/png"
    )
    assert response.status == 422
    assert "shape (8, 8)" in said(response)["error"]


def test_a_wrong_column_is_shown_a_right_example(server):
    response = server.call("POST", "/models/tumour/predict", b'{"a": 1}', content_type=JSON)
    shown = said(response)["error"].rpartition("predict is ")[2]
    example = json.loads(shown)
    assert list(example) == COLUMNS
    again = server.call("POST", "/models/tumour/predict", shown.encode(), content_type=JSON)
    assert again.status == 200


def test_one_wrong_request_fails_none_of_those_beside_it(server):
    """All arrive in one segment on many connections, so they share ticks."""
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(12)]
    token = server.auth["authorization"].encode()
    for number, connection in enumerate(connections):
        record = GOOD if number % 3 else {"wrong": 1}
        body = json.dumps(record).encode()
        connection.sendall(
            b"POST /models/tumour/predict HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (token, len(body), body)
        )
    statuses = []
    for connection in connections:
        with connection, connection.makefile("rb") as file:
            statuses.append(int(file.readline().split()[1]))
    assert statuses == [200 if number % 3 else 422 for number in range(12)]


def test_a_body_that_is_too_long_is_refused_however_it_comes(server):
    path, big = "/models/tumour/predict", b" " * (LIMIT + 1)
    assert server.call("POST", path, big, content_type=JSON).status == 413

    def parts():
        for _ in range(20):
            yield b" " * 100_000

    chunked = server.call("POST", path, parts(), content_type=JSON)
    assert chunked.status == 413
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < LIMIT
    packed = server.call("POST", path, bomb, content_type=JSON, content_encoding="gzip")
    assert packed.status == 413
    assert "LEPTON_MAX_REQUEST_BYTES" in said(packed)["error"]
    # The next requests find all the room they need.
    body = json.dumps(GOOD).encode()
    for _ in range(8):
        assert server.call("POST", path, body, content_type=JSON).status == 200


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [("br", b"x", 415), ("gzip", b"x", 400), ("gzip", gzip.compress(b"{}", mtime=0)[:-4], 400)],
)
def test_content_codings(server, coding, body, status):
    response = server.call(
        "POST", "/models/tumour/predict", body, content_type=JSON, content_encoding=coding
    )
    assert response.status == status
    said(response)


def exchange(server, *parts: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        with connection.makefile("rb") as file:
            return file.read()


def test_what_is_not_http_is_refused_in_the_same_form(server):
    answer = exchange(server, b"\x16\x03\x01 hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["request_id"].startswith("req_")


def test_headers_without_an_end_are_refused(server):
    line = b"x-filler: " + b"y" * 1000 + b"\r\n"
    answer = exchange(server, b"GET / HTTP/1.1\r\nHost: x\r\n", line * 70)
    assert answer.startswith(b"HTTP/1.1 431 ")
