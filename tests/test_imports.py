"""Imports stay light and without side effects."""

import json
import os
import pkgutil
import subprocess
import sys

import pytest

import lepton_ai


def run(program: str, home, **environ: str) -> dict:
    """Run a program in a fresh interpreter and return what it prints as JSON."""
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={
            **os.environ,
            "HOME": str(home),
            "LEPTON_HOME": str(home / "lepton-home"),
            "COVERAGE_PROCESS_START": "",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


def test_the_package_loads_no_third_party_module(tmp_path):
    program = """
import sys
before = set(sys.modules)
import lepton_ai
lepton_ai.__version__, dir(lepton_ai)
import json
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(loaded - set(sys.stdlib_module_names) - {"lepton_ai"})))
"""
    assert run(program, tmp_path) == []


def test_the_command_line_loads_no_numerical_library(tmp_path):
    program = """
import sys, io, json, contextlib
from lepton_ai.apps.cli import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    try:
        main(["--help"])
    except SystemExit as end:
        assert not end.code
assert "Usage" in out.getvalue()
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    loaded = run(program, tmp_path)
    heavy = {"numpy", "sklearn", "scipy", "polars", "pandas", "onnxruntime", "onnx", "matplotlib"}
    assert not heavy & set(loaded)
    assert not {"sqlalchemy", "alembic", "cryptography", "uvicorn"} & set(loaded)


def modules() -> list[str]:
    found = pkgutil.walk_packages(lepton_ai.__path__, "lepton_ai.")
    # The migration environment is a script that Alembic runs, not a module.
    return [
        info.name
        for info in found
        if ".migrations." not in info.name and "__main__" not in info.name
    ]


@pytest.mark.parametrize("group", sorted({".".join(name.split(".")[:2]) for name in modules()}))
def test_importing_has_no_side_effect(group, tmp_path):
    """No thread, no new file, no socket, no logging set up, no variable set, by any module."""
    names = [name for name in modules() if name == group or name.startswith(group + ".")]
    program = f"""
import importlib, json, logging, os, sys, threading
names = {names!r}
opened = []
def hook(event, arguments):
    if event in ("socket.bind", "socket.connect", "os.mkdir", "os.rename", "os.remove"):
        opened.append([event, str(arguments[:2])])
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        if "__pycache__" not in str(arguments[0]) and str(arguments[0]) != os.devnull:
            opened.append([event, str(arguments[0])])
# What third-party libraries do at their import is not ours: load everything once, then
# forget our own modules and watch only them.
for name in names:
    importlib.import_module(name)
for name in [n for n in list(sys.modules) if n.startswith("lepton_ai")]:
    del sys.modules[name]
threads, environ = threading.active_count(), dict(os.environ)
handlers = list(logging.getLogger().handlers)
sys.addaudithook(hook)
for name in names:
    importlib.import_module(name)
print(json.dumps({{
    "opened": opened,
    "threads": threading.active_count() - threads,
    "environ": sorted(k for k in os.environ if environ.get(k) != os.environ[k]),
    "handlers": len(logging.getLogger().handlers) - len(handlers),
    "home": os.path.exists(os.environ["LEPTON_HOME"]),
}}))
"""
    assert run(program, tmp_path) == {
        "opened": [],
        "threads": 0,
        "environ": [],
        "handlers": 0,
        "home": False,
    }
