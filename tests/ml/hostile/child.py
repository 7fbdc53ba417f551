"""Loads the corpus in a process that records whatever Python is asked to do.

Its only argument is a folder, with the corpus in it: an index as JSON and a file for each case. For
each one it prints what was raised, the seconds, and what was done besides reading bytes.
"""

import contextlib
import json
import logging
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from lepton_ai.core.errors import LeptonError
from lepton_ai.ml.runtimes import canary  # noqa: F401
from lepton_ai.ml.runtimes.runtime import load_runtime
from lepton_ai.ml.task import TASKS

# Asked of Python: to run something, to write, to reach out, to load code.
WATCHED = (
    "open", "import", "exec", "compile", "os.", "subprocess.", "shutil.", "socket.", "ctypes.",
    "marshal.", "pickle.", "pty.", "urllib.", "ftplib.", "tempfile.", "code.__new__",
    "function.__new__", "builtins.", "sys.settrace", "sys.setprofile", "glob.",
)  # fmt: skip
# Said often and harmless.
QUIET = ("object.", "os.listdir", "os.scandir", "sys._getframe", "os.putenv", "os.unsetenv")

recorded: list[str] | None = None


def watch(event: str, given: tuple[Any, ...]) -> None:
    if recorded is None or not event.startswith(WATCHED) or event.startswith(QUIET):
        return
    shown = given[0] if given else ""
    if event == "exec":
        shown = getattr(shown, "co_filename", "")
    if event == "subprocess.Popen":
        shown = " ".join(map(str, given[1][:4]))
    recorded.append(f"{event} {str(shown)[:200]}")


def main(folder: Path) -> None:
    global recorded
    warnings.simplefilter("ignore")
    logging.disable()
    index = json.loads((folder / "index.json").read_text())
    rows = np.zeros((2, 4))
    # What loads a good file lies in memory then; whatever is imported later, a bad one asked for.
    for name in index["good"]:
        load_runtime(name, (folder / f"good-{name}").read_bytes(), trusted=True).run(rows)
    for name, number in index["warm"].items():
        with contextlib.suppress(LeptonError):
            load_runtime(name, (folder / str(number)).read_bytes(), trusted=True)
    sys.addaudithook(watch)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, (name, model_format, task) in enumerate(index["cases"]):
        data = (folder / str(number)).read_bytes()
        recorded, begin = [], time.perf_counter()
        try:
            runtime = load_runtime(model_format, data, TASKS[task])
            runtime.run(rows)
            raised = "nothing"
        except LeptonError as error:
            raised = f"LeptonError {error}"
        except BaseException as error:
            raised = f"{type(error).__name__} {error}"
        events, recorded = recorded, None
        said = [name, raised, time.perf_counter() - begin, events]
        print(json.dumps(said), flush=True)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
    print(json.dumps(["memory", used * 1024]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
