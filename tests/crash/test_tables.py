"""Kill -9 at random moments of appends, upserts, compaction, expiry, erasure and backup.

A child changes a table and says so, line by line, once each change is acknowledged. The parent
kills it, then judges: everything verifies, the newest version has exactly the rows that were
acknowledged or those of the change in flight, and every version that should be there is readable.
"""

import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lepton_ai.core.settings import Settings
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.read_table import read_table
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import create_backup, list_backups, verify_backup

CHILD = """
import random, sys
from pathlib import Path
from lepton_ai.core.settings import Settings
from lepton_ai.data.catalog import open_dataset
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import create_backup

home, url, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
workspace = Workspace.open(settings=Settings(home=home))
dice = random.Random(seed)
# What is imported at first use is imported now: the kills are for the changes.
import lepton_ai.data.tables.changes, lepton_ai.data.tables.maintenance
from lepton_ai.data.erase import erase_subject
open_dataset("t", workspace).to_polars()
print("ready", flush=True)
while True:
    table = open_dataset("t", workspace)
    kinds = ["append", "upsert", "delete", "compact", "expire", "backup", "erase"]
    (kind,) = dice.choices(kinds, [2, 2, 1, 1, 1, 1, 1])
    key, value = dice.randrange(40), dice.randrange(10**9)
    print("begin", kind, key, value, flush=True)
    if kind == "append":
        table.append({"key": [1000 + value], "value": [value]})
    elif kind == "upsert":
        table.upsert({"key": [key], "value": [value]}, on="key")
    elif kind == "delete":
        table.delete(f"key = {key}")
    elif kind == "compact":
        table.compact()
    elif kind == "expire":
        table.expire(keep=3)
        workspace.objects.collect()
    elif kind == "erase":
        erase_subject(workspace, [str(key)], columns=["key"])
    else:
        create_backup(workspace, url)
    print("done", flush=True)
"""


def after(rows: dict[int, int], kind: str, key: int, value: int) -> dict[int, int]:
    """What a change makes of the rows."""
    changed = dict(rows)
    if kind == "append":
        changed[1000 + value] = value
    elif kind == "upsert":
        changed[key] = value
    elif kind in ("delete", "erase"):
        changed.pop(key, None)
    return changed


def rows_of(table: Table) -> dict[int, int]:
    frame = table.to_polars()
    assert frame["key"].is_unique().all()
    return dict(frame.select("key", "value").rows())


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_a_table_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    rounds = int(os.environ.get("LEPTON_CRASHES", "6"))
    seed = int(os.environ.get("LEPTON_CRASH_SEED", random.SystemRandom().randrange(2**31)))
    dice = random.Random(seed)
    home, url = tmp_path / "home", tmp_path / "backups"
    settings = Settings(home=home)
    workspace = Workspace.open(settings=settings)
    read_table({"key": list(range(20)), "value": [0] * 20}, name="t", workspace=workspace)
    workspace.close()
    expected = dict.fromkeys(range(20), 0)
    hits: dict[str, int] = {}
    for number in range(rounds):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(home), str(url), str(dice.randrange(2**31))],
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert child.stdout is not None
        with child.stdout as said:
            assert said.readline() == "ready\n"
            end = time.monotonic() + dice.random()
            lines: list[str] = []
            while (left := end - time.monotonic()) > 0:
                if select.select([said], [], [], left)[0]:
                    lines.append(said.readline())
            child.send_signal(signal.SIGKILL)
            lines += said.readlines()
            child.wait()
        flight: tuple[str, int, int] | None = None
        for line in lines:
            words = line.split()
            if words and words[0] == "begin" and len(words) == 4:
                flight = (words[1], int(words[2]), int(words[3]))
            elif words == ["done"] and flight is not None:
                expected, flight = after(expected, *flight), None
        where = f"seed {seed}, round {number}, {flight}"
        during = flight[0] if flight else "between"
        hits[during] = hits.get(during, 0) + 1
        workspace = Workspace.open(settings=settings)
        faults = [fault for fault in workspace.verify() if not fault.harmless]
        assert faults == [], where
        table = open_dataset("t", workspace)
        assert isinstance(table, Table)
        found = rows_of(table)
        if flight is not None and found != expected:
            expected = after(expected, *flight)
        assert found == expected, where
        for version in table.history().filter("kept")["version"].to_list():
            rows_of(table.at(version))
        if url.exists() and list_backups(str(url), workspace.id):
            assert list(verify_backup(workspace, str(url))) == [], where
        workspace.close()
    workspace = Workspace.open(settings=settings)
    create_backup(workspace, str(url))
    assert list(verify_backup(workspace, str(url))) == []
    workspace.close()
    print(f"\n{rounds} kills, seed {seed}: {hits}")
