"""Model files that an attacker would write, by name: (format, task, bytes)."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

from lepton_ai.ml import fitting, zoo
from lepton_ai.ml.export import export
from lepton_ai.ml.runtimes.runtime import dump_native

Case = tuple[str, str, bytes]

# Protocol 0 and 4: what runs when they are unpickled writes a file.
PICKLES = {
    "protocol 0": b"cos\nsystem\n(S'touch OWNED'\ntR.",
    "protocol 4": b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93"
    b"\x8c\x0btouch OWNED\x85R.",
}
FORMATS = ("onnx", "skops", "lightgbm", "catboost", "safetensors", "ensemble", "custom")
HUGE = 2**62


def rows() -> tuple[np.ndarray, np.ndarray]:
    matrix = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32).astype(np.float64)
    return matrix, (matrix[:, 0] > 0).astype(int)


@cache
def good(model_format: str) -> bytes:
    """A file of each format as the platform writes it."""
    matrix, codes = rows()

    def made(name: str, **parameters: Any) -> Any:
        return fitting.fit(zoo.find(name), matrix, codes, seed=0, parameters=parameters).estimator

    if model_format == "onnx":
        return export(made("rf", n_estimators=2), 4)
    name, parameters = {
        "skops": ("rf", {"n_estimators": 2}),
        "lightgbm": ("lightgbm", {"n_estimators": 2}),
        "catboost": ("catboost", {"iterations": 2}),
        "safetensors": ("deep perceptron", {"epochs": 1, "width": 4, "depth": 1}),
    }[model_format]
    return dump_native(model_format, made(name, **parameters))


def cases() -> Iterator[tuple[str, Case]]:
    """Every file of the corpus that must be refused."""
    for name, (model_format, data) in _all():
        yield f"{model_format}: {name}", (model_format, "classification", data)


def _all() -> Iterator[tuple[str, tuple[str, bytes]]]:
    for model_format in FORMATS:
        for name, data in PICKLES.items():
            yield f"pickle, {name}", (model_format, data)
        yield "nothing", (model_format, b"")
        yield "zeros", (model_format, bytes(1000))
        yield "gzip bomb", (model_format, zlib.compress(bytes(2**24)))
    for name, archive in archives().items():
        yield name, ("skops", archive)
        yield name, ("ensemble", archive)
    for name, graph in graphs().items():
        yield name, ("onnx", graph)
    for name, tensors in tensor_files().items():
        yield name, ("safetensors", tensors)
        yield name, ("custom", tensors)
    for name, text in trees().items():
        yield name, ("lightgbm", text)
    yield "cut", ("catboost", good("catboost")[:2000])


def zipped(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def archives() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(good("skops"))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members.pop("schema.json")

    def saying(**changes: Any) -> bytes:
        return zipped({**members, "schema.json": json.dumps(json.loads(schema) | changes).encode()})

    lying = bytearray(zipped({"schema.json": schema, **members}))
    # The directory says that a member is small; its data is not.
    place = lying.rindex(b"PK\x01\x02")
    lying[place + 24 : place + 28] = struct.pack("<I", 2**32 - 2)
    deep = b'{"content":' * 5000 + b"1" + b"}" * 5000
    node = {"__class__": "system", "__module__": "os", "__loader__": "ObjectNode", "__id__": 1}
    header = np.lib.format.header_data_from_array_1_0(np.zeros(1))
    claim = io.BytesIO()
    np.lib.format.write_array_header_1_0(claim, header | {"shape": (2**40,)})
    objects = io.BytesIO()
    np.lib.format.write_array_header_1_0(objects, header | {"descr": "|O", "shape": (1,)})
    arrays = [name for name in members if name.endswith(".npy")]
    return {
        "zip bomb": zipped({"schema.json": schema, "a.npy": bytes(2**28)}),
        "zip of lying sizes": bytes(lying),
        "names that climb": zipped({"../../schema.json": schema, "/etc/cron.d/x": b"x"}),
        "no schema": zipped(members),
        "deep schema": zipped({"schema.json": deep}),
        "wide schema": zipped({"schema.json": nested(100_000)}),
        "type of os": zipped({"schema.json": json.dumps(node).encode()}),
        "function node": saying(__loader__="FunctionNode"),
        "method node": saying(__loader__="MethodNode"),
        "type node": saying(__class__="type", __loader__="TypeNode"),
        "json of another type": saying(__class__="str", __loader__="JsonNode", content="1"),
        "array of 8 TB": zipped(
            {"schema.json": schema, **members, **dict.fromkeys(arrays, claim.getvalue())}
        ),
        "array of objects": zipped(
            {
                "schema.json": schema,
                **members,
                **dict.fromkeys(arrays, objects.getvalue() + PICKLES["protocol 4"]),
            }
        ),
        "members missing": zipped({"schema.json": schema}),
    }


def model_of(
    *nodes: Any, tensors: Any = (), functions: Any = (), domains: Any = (), sparse: Any = ()
) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, None])],
        list(tensors),
        sparse_initializer=list(sparse),
    )
    opsets = [helper.make_opsetid("", 18), *(helper.make_opsetid(name, 1) for name in domains)]
    made = helper.make_model(graph, opset_imports=opsets, functions=list(functions))
    made.ir_version = 9
    return bytes(made.SerializeToString())


def external(location: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(4, dtype=np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def tensor(name: str, dims: list[int], kind: int = TensorProto.FLOAT) -> TensorProto:
    return TensorProto(name=name, data_type=kind, dims=dims)


def graphs() -> dict[str, bytes]:
    add = helper.make_node("Add", ["X", "w"], ["probabilities"])
    ones = numpy_helper.from_array(np.ones(4, dtype=np.float32), "w")
    big = numpy_helper.from_array(np.array([HUGE // 2**20], dtype=np.int64), "n")
    wide = numpy_helper.from_array(np.array([1, 2**36], dtype=np.int64), "n")
    out = "probabilities"
    branch = helper.make_graph([], "inner", [], [], [external("/etc/passwd")])
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ],
    )
    times = numpy_helper.from_array(np.array(2**60, dtype=np.int64), "times")
    go = numpy_helper.from_array(np.array(True), "go")
    function = helper.make_function("", "F", ["a"], ["b"], [], [helper.make_opsetid("", 18)])
    sparse = onnx.SparseTensorProto(
        values=numpy_helper.from_array(np.ones(1, dtype=np.float32), "w"),
        indices=numpy_helper.from_array(np.zeros(1, dtype=np.int64), "i"),
        dims=[2**20, 2**20],
    )
    inner: Any = helper.make_graph([], "inner", [], [])
    for level in range(40):
        choice = helper.make_node("If", ["c"], [f"w{level}"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([choice], "inner", [], []) if level < 8 else inner
    foreign = helper.make_node("PyOp", ["X"], [out], domain="ai.onnx.contrib", code="import os")
    return {
        **{
            f"external data, {place}": model_of(add, tensors=[external(place)])
            for place in ("/etc/passwd", "../../keys.json", "weights.bin", "https://example.org/w")
        },
        "external data in a branch": model_of(
            helper.make_node("If", ["go"], ["w"], then_branch=branch, else_branch=branch),
            add,
            tensors=[go],
        ),
        "external data in an attribute": model_of(
            helper.make_node("Constant", [], ["w"], value=external("/etc/passwd")), add
        ),
        "function": model_of(add, tensors=[ones], functions=[function]),
        "custom domain": model_of(add, tensors=[ones], domains=["com.example"]),
        "custom operator": model_of(foreign),
        "operators of Microsoft": model_of(
            helper.make_node("FusedMatMul", ["X", "X"], [out], domain="com.microsoft")
        ),
        "tensor of 4 TB": model_of(add, tensors=[tensor("w", [2**20, 2**20])]),
        "tensor of negative size": model_of(add, tensors=[tensor("w", [-4])]),
        "tensor of overflowing size": model_of(add, tensors=[tensor("w", [2**32, 2**32])]),
        "tensor of unknown type": model_of(add, tensors=[tensor("w", [4], 99)]),
        "sparse bomb": model_of(add, sparse=[sparse]),
        "sparse attribute": model_of(
            helper.make_node("Constant", [], ["w"], sparse_value=sparse), add
        ),
        "endless loop": model_of(
            helper.make_node("Loop", ["times", "go", "X"], [out], body=body), tensors=[times, go]
        ),
        "answers of 256 GB": model_of(
            helper.make_node("ConstantOfShape", ["n"], [out]), tensors=[wide]
        ),
        "expanded to 256 GB": model_of(
            helper.make_node("ReduceSum", ["X"], ["s"]),
            helper.make_node("Expand", ["s", "n"], [out]),
            tensors=[wide],
        ),
        "tiled to 256 GB": model_of(helper.make_node("Tile", ["X", "n"], [out]), tensors=[wide]),
        "range": model_of(
            helper.make_node("Range", ["a", "b", "c"], [out]),
            tensors=[
                numpy_helper.from_array(np.array(number, dtype=np.float32), name)
                for name, number in (("a", 0), ("b", 1e12), ("c", 1))
            ],
        ),
        "random numbers without end": model_of(
            helper.make_node("RandomNormal", [], [out], shape=[1, 2**36])
        ),
        "text out of numbers": model_of(
            helper.make_node("Cast", ["X"], [out], to=TensorProto.STRING)
        ),
        "deep branches": model_of(*inner.node, add, tensors=[ones, go]),
        "unknown operator": model_of(helper.make_node("Exec", ["X"], [out], command="id")),
        "two inputs": _two_inputs(),
        "no such output": model_of(helper.make_node("Abs", ["X"], ["y"])),
        "big number": model_of(helper.make_node("ConstantOfShape", ["n"], [out]), tensors=[big]),
    }


def _two_inputs() -> bytes:
    model = onnx.load_from_string(model_of(helper.make_node("Add", ["X", "Y"], ["probabilities"])))
    model.graph.input.append(helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 4]))
    return bytes(model.SerializeToString())


def tensor_files() -> dict[str, bytes]:
    def header(text: bytes, length: int | None = None) -> bytes:
        return struct.pack("<Q", len(text) if length is None else length) + text

    def head(**changes: Any) -> bytes:
        said = {
            "path": "os:system",
            "package": {"distribution": "pip", "version": "1", "digest": "0"},
            "task": "classification",
            "features": 4,
            "width": 2,
            "noise": False,
            "state": {},
        }
        text = json.dumps(said | changes)
        return safetensors.numpy.save({}, metadata={"model": text, "network": text})

    huge = {"w": {"dtype": "F64", "shape": [HUGE], "data_offsets": [0, 8]}}
    over = {"w": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8 * 10**9]}}
    deep: Any = 0
    for _ in range(200):
        deep = [deep]
    return {
        "header of 2**60 bytes": header(b"{}", 2**60),
        "header that is cut": header(b'{"a":', 100),
        "header that is nested": header(nested(50_000)),
        "header of a list": header(b"[]"),
        "tensor of 2**62 numbers": header(json.dumps(huge).encode()) + bytes(8),
        "tensor beyond the end": header(json.dumps(over).encode()) + bytes(8),
        "no metadata": safetensors.numpy.save({"w": np.zeros(2)}),
        "module of the standard library": head(),
        "module by a climbing path": head(path="../../evil:Model"),
        "module with code in its name": head(path="os;print(1):x"),
        "installed package, other hash": head(
            path="pytest:main", package={"distribution": "pytest", "version": "0", "digest": "0"}
        ),
        "head with more": head(more=1),
        "head of wrong types": head(features="4"),
        "head of huge numbers": head(features=HUGE),
        "head of the package as a text": head(package="pip"),
        "state that is no mapping": head(state=[1]),
        "state that is nested": head(state={"a": deep}),
        "state with an unknown mark": head(state={"a": {"object": "os.system"}}),
        "state with two marks": head(state={"a": {"array": "0", "tuple": []}}),
        "state of a lacking tensor": head(state={"a": {"array": "000000"}}),
        "state of a bad skops": head(state={"a": {"skops": "000000"}}),
    }


def trees() -> dict[str, bytes]:
    """Each of these ends, or may end, the process whose LightGBM or CatBoost reads it."""
    lines = good("lightgbm").decode().splitlines()
    endless = ["num_leaves=2147483647" if line.startswith("num_leaves") else line for line in lines]
    return {
        "leaves without end": "\n".join(endless).encode(),
        "a tree without leaves": good("lightgbm").replace(b"num_leaves=", b"num_leafs="),
    }
