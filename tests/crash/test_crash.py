"""Kill -9 anywhere: nothing acknowledged is lost, nothing is half there, the rerun succeeds.

LEPTON_CRASHES says how many kills (10 unless set: one of each kind), LEPTON_CRASH_SEED which; the
seed of a run is in its output. The rounds themselves are in `driver`.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.conftest import ROOT

CRASHES = int(os.environ.get("LEPTON_CRASHES", "10"))
SEED = int(os.environ.get("LEPTON_CRASH_SEED", random.randrange(2**32)))
PHASES = {"import", "split", "train", "register", "evaluate", "deploy", "ask", "rotate", "collect"}

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a test adopt orphans"),
]


class Report(msgspec.Struct):
    """What the driver says at the end."""

    rounds: int
    landed: dict[str, int]
    complaints: list[str]


def test_the_path_survives_kill_9(tmp_path: Path) -> None:
    # Libraries that start threads of their own would make forking unsafe.
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.driver", str(tmp_path), str(CRASHES), str(SEED)],
        cwd=ROOT,
        env=os.environ | single,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    last = ""
    try:
        for last in driver.stdout:
            print(last, end="", flush=True)
    finally:
        # It ends its servers before itself.
        driver.terminate()
        assert driver.wait() == 0, "the driver failed; see its output"
        driver.stdout.close()
    report = msgspec.json.decode(last, type=Report)
    assert report.complaints == []
    assert report.rounds == CRASHES
    # The rest came when the phase was over already.
    assert sum(report.landed.values()) >= 0.5 * CRASHES
    if CRASHES >= 100:
        assert report.landed.keys() >= PHASES
