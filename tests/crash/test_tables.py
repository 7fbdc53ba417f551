"""Kill -9 during appends, upserts, deletes, compaction, expiry, erasure and backup of tables.

After each kill everything verifies, every version is readable, and the newest has exactly the
rows that were acknowledged, or those of the change in flight. LEPTON_CRASHES says how many kills
(14 unless set), LEPTON_CRASH_SEED which; the rounds themselves are in `tables`.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.conftest import ROOT
from tests.crash.tables import KINDS, Report

CRASHES = int(os.environ.get("LEPTON_CRASHES", "14"))
SEED = int(os.environ.get("LEPTON_CRASH_SEED", random.randrange(2**32)))


@pytest.mark.crash
@pytest.mark.timeout(0)
@pytest.mark.skipif(sys.platform == "win32", reason="it forks")
def test_tables_survive_kill_9(tmp_path: Path) -> None:
    # Libraries that start threads of their own would make forking unsafe.
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    driver = subprocess.run(
        [sys.executable, "-m", "tests.crash.tables", str(tmp_path), str(CRASHES), str(SEED)],
        cwd=ROOT,
        env=os.environ | single,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(driver.stdout)
    assert driver.returncode == 0, "the driver failed; see its output"
    report = msgspec.json.decode(driver.stdout.splitlines()[-1], type=Report)
    assert report.complaints == []
    assert report.rounds == CRASHES
    # Fewer, and the steps are no longer counted where they are gone.
    assert min(report.steps[kind] for kind in KINDS) >= 10, report.steps
    # The rest came between two changes.
    assert sum(report.landed.get(kind, 0) for kind in KINDS) >= 0.8 * CRASHES
    if CRASHES >= 100:
        assert all(report.landed.get(kind, 0) >= 5 for kind in KINDS)
