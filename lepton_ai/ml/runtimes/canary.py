"""Canary: another process reads a model first, where its library's parser is not to be trusted.

A parser of native code can end its whole process on bytes that are no model, which for a server
would be the end of all endpoints. Here it ends a process that has nothing else to do, with bounded
memory and time. A leaf.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

from lepton_ai.core.optional import load
from lepton_ai.ml.task import TASKS, Task

__all__ = ["main", "objection"]

_SECONDS = 60
_MOST_MEMORY = 16 * 2**30
_ROWS = 64
# What the canary leaves with where the model was refused by an error that it could catch.
_REFUSED = 3


def objection(runtime: str, data: bytes, task: Task) -> str:
    """Let another process load a model and answer with it; return what it objects to, or nothing.

    Args:
        runtime: what loads it, written ``module:class``; it has a property ``features``.
        data: the model file.
        task: of the model.
    """
    root = str(Path(__file__).resolve().parents[2])
    program = (
        f"import sys; sys.path.append({root!r}); from lepton_ai.ml.runtimes.canary import main; "
        "main(*sys.argv[1:])"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, runtime, task.name],
            input=data,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it is not read within {_SECONDS} s"
    if done.returncode == _REFUSED:
        return str(json.loads(done.stdout.splitlines()[-1]))
    if done.returncode:
        return f"it ends the process that reads it (code {done.returncode})"
    return ""


def main(runtime: str, task: str) -> None:
    """Load the model on standard input, and answer rows that lie all over."""
    made = load(runtime, extra="all")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    try:
        loaded = made(sys.stdin.buffer.read(), TASKS[task])
        rows = np.random.default_rng(0).standard_t(1, (_ROWS, loaded.features))
        loaded.run(np.concatenate([rows, np.round(rows), np.zeros_like(rows)]))
    except Exception as error:
        # Whatever a parser raises on hostile bytes, a caller sees one error.
        sys.stdout.write(f"\n{json.dumps(str(error))}\n")
        sys.exit(_REFUSED)
