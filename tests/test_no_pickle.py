"""No module of the package can run code from a file: nothing is unpickled or evaluated.

The test reads syntax trees, so it sees a name through any alias of an import. A second test
plants samples, to show that the first can fail.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lepton_ai

PACKAGE = Path(lepton_ai.__file__).parent

# Modules whose only use is to turn bytes into any object, or text into code.
FORBIDDEN_MODULES = {
    "_pickle", "cPickle", "cloudpickle", "dill", "jsonpickle", "marshal", "pickle", "shelve",
}  # fmt: skip
# Functions that do so inside a module that has other uses.
FORBIDDEN_CALLS = {
    "builtins.__import__", "builtins.compile", "builtins.eval", "builtins.exec", "joblib.load",
    "pandas.read_pickle", "polars.DataFrame.deserialize", "polars.LazyFrame.deserialize",
    "runpy.run_path", "skops.io.load",
}  # fmt: skip
UNSAFE_YAML = {
    "yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load", "yaml.unsafe_load_all",
}  # fmt: skip
SAFE_YAML = {"yaml.SafeLoader", "yaml.CSafeLoader"}
BUILTINS = {"compile", "eval", "exec", "__import__"}


def offences(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything in a module that could run code from data."""
    tree = ast.parse(source)
    names = dict(imported(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in FORBIDDEN_MODULES:
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if FORBIDDEN_MODULES & set(whole.split(".")) or whole in FORBIDDEN_CALLS:
                    yield node.lineno, whole
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Modules are also loaded by dotted path.
            if node.value.split(":")[0].split(".")[0] in FORBIDDEN_MODULES and (
                node.value in FORBIDDEN_MODULES or set(".:") & set(node.value.rstrip("."))
            ):
                yield node.lineno, f"the text {node.value!r}"
        elif isinstance(node, ast.Attribute | ast.Name):
            whole = dotted(node, names)
            inside = isinstance(node, ast.Attribute) and whole.split(".")[0] in FORBIDDEN_MODULES
            if inside or whole in FORBIDDEN_CALLS | UNSAFE_YAML:
                yield node.lineno, whole
        if isinstance(node, ast.Call):
            yield from call(node, names)


def call(node: ast.Call, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    whole = dotted(node.func, names)
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    if "allow_pickle" in given and not is_constant(given["allow_pickle"], False):
        yield node.lineno, f"{whole}(allow_pickle=...)"
    if whole in ("numpy.load", "numpy.lib.format.read_array") and len(node.args) > 2:
        yield node.lineno, f"{whole} with allow_pickle by position"
    if whole == "torch.load" and not is_constant(given.get("weights_only"), True):
        yield node.lineno, "torch.load without weights_only=True"
    if whole in ("yaml.load", "yaml.load_all"):
        loader = given.get("Loader", node.args[1] if len(node.args) > 1 else None)
        if loader is None or dotted(loader, names) not in SAFE_YAML:
            yield node.lineno, f"{whole} without a safe loader"
    if whole == "skops.io.loads" and "trusted" not in given:
        yield node.lineno, "skops.io.loads without an allow-list"
    if (
        whole == "builtins.getattr"
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    ):
        reached = f"{dotted(node.args[0], names)}.{node.args[1].value}"
        if reached in FORBIDDEN_CALLS:
            yield node.lineno, reached


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each name that an import binds, with what it means."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    yield alias.asname, alias.name
                else:
                    root = alias.name.split(".")[0]
                    yield root, root
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, names)}.{node.attr}"
    if isinstance(node, ast.Name):
        if node.id in names:
            return names[node.id]
        return f"builtins.{node.id}" if node.id in BUILTINS | {"getattr"} else node.id
    return "?"


def is_constant(node: ast.AST | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_no_module_can_run_code_from_data() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 50
    found = [
        f"{file.relative_to(PACKAGE)}:{line}: {name}"
        for file in files
        for line, name in offences(file.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "import pickle as p\np.loads(b'')",
        "from pickle import loads",
        "import cloudpickle",
        "from joblib.externals import cloudpickle",
        "from cloudpickle import load as read",
        "import dill, os",
        "import marshal",
        "import shelve",
        "from importlib import import_module\nimport_module('pickle')",
        "load('pickle:loads', extra='x')",
        "load('cloudpickle.cloudpickle', extra='x')",
        "import joblib\njoblib.load('m')",
        "from joblib import load",
        "import joblib as j\nread = j.load",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "import numpy as np\nnp.load(f, allow_pickle=flag)",
        "import numpy as np\nnp.load(f, None, True)",
        "from numpy.lib.format import read_array\nread_array(f, allow_pickle=True)",
        "import torch\ntorch.load(f)",
        "import torch\ntorch.load(f, weights_only=False)",
        "from torch import load as read\nread(f)",
        "import yaml\nyaml.load(f)",
        "import yaml\nyaml.load(f, Loader=yaml.Loader)",
        "import yaml\nyaml.load(f, yaml.UnsafeLoader)",
        "import yaml\nyaml.unsafe_load(f)",
        "from yaml import full_load\nfull_load(f)",
        "eval('1')",
        "exec('1')",
        "f = eval",
        "compile('1', 'x', 'eval')",
        "__import__('os')",
        "import builtins\nbuiltins.eval('1')",
        "import builtins\ngetattr(builtins, 'exec')('1')",
        "import pandas as pd\npd.read_pickle('f')",
        "import polars as pl\npl.DataFrame.deserialize(f)",
        "import skops.io\nskops.io.load('f', trusted=x)",
        "import skops.io\nskops.io.loads(b'')",
        "import runpy\nrunpy.run_path('x')",
        "def f():\n    if True:\n        import pickle",
    ],
)
def test_planted_samples_are_caught(planted: str) -> None:
    assert list(offences(planted))


@pytest.mark.parametrize(
    "harmless",
    [
        "import re\nre.compile('x')",
        "model.eval()",
        "connection.exec_driver_sql('SELECT 1')",
        "import numpy as np\nnp.load(f, allow_pickle=False)",
        "import numpy as np\nnp.load(f)",
        "import torch\ntorch.load(f, weights_only=True)",
        "import yaml\nyaml.safe_load(f)\nyaml.load(f, Loader=yaml.SafeLoader)",
        "import json\njson.load(f)",
        "'pickle is never read'",
        "'''A docstring: pickle.loads is not called.'''",
        "import skops.io\nskops.io.loads(b, trusted=sorted(ALLOWED))",
    ],
)
def test_harmless_code_is_let_through(harmless: str) -> None:
    assert not list(offences(harmless))
