"""Kills changes of tables at random moments or steps, and judges what is left after each kill.

Run by `test_tables.py` in a process of its own, which imports everything once and then forks one
child to be killed and one to judge for each round. There are two tables, one encrypted and one of
plain files, that are appended to, upserted, deleted from, compacted, expired, backed up, and
erased from.

Half of the kills come at a random moment of a change. The other half come at a random step: a
call that writes, syncs or renames a file, or speaks to the database.
"""

import itertools
import random
import shutil
import sys
import time
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from lepton_ai.core.settings import Settings
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.erase import erase_subject
from lepton_ai.data.table import Table
from lepton_ai.data.tables.create import store_table
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import create_backup, list_backups, restore_backup, verify_backup
from tests.crash.child import Child
from tests.crash.journey import Say

KINDS = ("append", "upsert", "delete", "compact", "expire", "backup", "erase")
TABLES = ("sealed", "plain")
_KEYS = 40
# A restore of the newest backup takes as long as all else: one judge in so many does it.
_RESTORES_EVERY = 5
_PATIENCE = 120.0
# What the children would each import on first use.
_LATE = (
    "duckdb", "pyarrow.dataset", "pyarrow.parquet", "pyiceberg.catalog.sql",
    "pyiceberg.expressions", "pyiceberg.io.pyarrow", "pyiceberg.table",
    "sqlalchemy.dialects.sqlite", "lepton_ai.data.tables.changes",
    "lepton_ai.data.tables.maintenance",
)  # fmt: skip

Rows = dict[int, int]


class Change(Struct, frozen=True):
    """One change, of one table unless it is a backup or an erasure."""

    kind: str
    table: str
    key: int
    value: int

    def perform(self, workspace: Workspace, url: str) -> str:
        """Do it; return the id of the backup that was made, if any."""
        table = _table(workspace, self.table)
        match self.kind:
            case "append":
                table.append({"key": [_KEYS + self.value], "value": [self.value]})
            case "upsert":
                table.upsert({"key": [self.key], "value": [self.value]}, on="key")
            case "delete":
                table.delete(f"key = {self.key}")
            case "compact":
                table.compact()
            case "expire":
                table.expire(keep=3)
                workspace.objects.collect()
            case "backup":
                return create_backup(workspace, url).id
            case "erase":
                report, _ = erase_subject(workspace, [str(self.key)], columns=["key"])
                assert report.complete, report
        return ""

    def after(self, table: str, rows: Rows) -> Rows:
        """Return what it makes of the rows of a table."""
        changed = dict(rows)
        if self.kind == "erase" or (self.kind == "delete" and self.table == table):
            changed.pop(self.key, None)
        elif self.table == table and self.kind == "append":
            changed[_KEYS + self.value] = self.value
        elif self.table == table and self.kind == "upsert":
            changed[self.key] = self.value
        return changed


class Verdict(Struct):
    """What a judge found: the rows of each table, and what is wrong."""

    rows: dict[str, Rows]
    complaints: list[str] = []


class Report(Struct):
    """What came of all rounds.

    ``steps`` is how many steps each kind of change has, ``landed`` counts kills by the change that
    they interrupted.
    """

    seed: int
    rounds: int = 0
    elapsed: float = 0.0
    steps: dict[str, int] = {}
    landed: dict[str, int] = {}
    complaints: list[str] = []


class Driver:
    """Does all rounds of one run in a directory of its own."""

    def __init__(self, root: Path, rounds: int, seed: int) -> None:
        self._root, self._rounds = root, rounds
        self._settings = Settings(home=root / "home")
        self._url = str(root / "backups")
        self._random = random.Random(seed)
        self._report = Report(seed)
        self._rows: dict[str, Rows] = {name: dict.fromkeys(range(20), 0) for name in TABLES}
        # What each acknowledged backup holds, and how long each kind of change takes.
        self._backed_up: dict[str, dict[str, Rows]] = {}
        self._seconds: dict[str, float] = {}
        self._steps: dict[str, int] = {}
        self._first_step = 0

    def run(self) -> Report:
        """Return what came of it."""
        begin = time.monotonic()
        self._child(partial(_fill, settings=self._settings)).finish()
        for kind, die_at in itertools.product(KINDS, (None, 0)):
            child = self._change(kind, die_at, count=1)
            child.finish()
            self._learn(child, timed=die_at is None)
            self._acknowledge(child)
        while self._report.rounds < self._rounds and not self._report.complaints:
            self._report.rounds += 1
            self._crash(self._random.choice(KINDS))
        self._report.steps = self._steps
        self._report.elapsed = round(time.monotonic() - begin, 1)
        return self._report

    def _crash(self, kind: str) -> None:
        """Kill a change, and look at what is left."""
        stepwise = self._random.random() < 0.5
        if stepwise:
            step = self._first_step + self._random.randint(1, self._steps[kind])
            child = self._change(kind, step)
            child.listen("done", _PATIENCE)
            where = f"step {step}"
        else:
            delay = 1.1 * self._seconds[kind] * self._random.random()
            child = self._change(kind, None)
            child.listen("begin", _PATIENCE)
            child.listen("done", delay)
            child.kill()
            where = f"{delay:.3f} s"
        killed = child.end()
        self._learn(child, timed=not stepwise)
        flight = self._acknowledge(child)
        landed = flight.kind if flight else "between"
        self._report.landed[landed] = self._report.landed.get(landed, 0) + 1
        which = f"round {self._report.rounds} (seed {self._report.seed}): {flight} at {where}"
        complaints = self._judge(flight) if killed else ["it was not killed"]
        self._report.complaints += [f"{which}: {text}" for text in complaints]
        print(which, *complaints, sep="\n  ", flush=True)

    def _judge(self, flight: Change | None) -> list[str]:
        """Compare what is left with what was acknowledged; return what is wrong."""
        restore = self._random.randrange(_RESTORES_EVERY) == 0
        judge = partial(
            _judge, settings=self._settings, url=self._url, flight=flight, restore=restore,
            known=self._backed_up, root=self._root,
        )  # fmt: skip
        verdict = msgspec.convert(self._child(judge).finish(), Verdict, strict=False)
        for name, rows in verdict.rows.items():
            allowed = [self._rows[name]]
            if flight is not None:
                after = flight.after(name, self._rows[name])
                # The judge finished an erasure that was interrupted.
                allowed = [after] if flight.kind == "erase" else [*allowed, after]
            if rows not in allowed:
                verdict.complaints.append(
                    f"{name} has {rows}, not {' or '.join(map(str, allowed))}"
                )
            self._rows[name] = rows
        return verdict.complaints

    def _acknowledge(self, child: Child) -> Change | None:
        """Take in what a child did for certain; return what it may have done."""
        begun = [msgspec.convert(body, Change) for body in child.bodies("begin")]
        kept = child.bodies("kept")
        for change, backup in zip(begun, kept, strict=False):
            self._rows = {name: change.after(name, rows) for name, rows in self._rows.items()}
            if backup:
                self._backed_up[backup] = self._rows
        return begun[-1] if len(begun) > len(kept) else None

    def _learn(self, child: Child, *, timed: bool) -> None:
        """Remember how long changes take, by the clock or in steps."""
        begins = [mark for mark in child.marks if mark.word == "begin"]
        for begin, kept in zip(begins, (m for m in child.marks if m.word == "kept"), strict=False):
            if timed:
                self._seconds[begin.body["kind"]] = kept.time - begin.time
            else:
                self._steps[begin.body["kind"]] = max(1, kept.steps - begin.steps)
        if begins and not timed:
            self._first_step = begins[0].steps

    def _change(self, kind: str, die_at: int | None, count: int | None = None) -> Child:
        """Begin changes in a child, the first of a certain kind; it counts steps unless None."""
        seed = self._random.randrange(2**31)
        work = partial(
            _changes, settings=self._settings, url=self._url, seed=seed, kind=kind, count=count
        )
        return self._child(work, die_at)

    def _child(self, work: Any, die_at: int | None = None) -> Child:
        return Child(work, self._root / "child.log", die_at)


def _table(workspace: Workspace, name: str) -> Table:
    table = open_dataset(name, workspace)
    assert isinstance(table, Table)
    return table


def _rows_of(table: Table) -> Rows:
    frame = table.to_polars()
    assert frame["key"].is_unique().all()
    return dict(frame.select("key", "value").rows())


def _fill(say: Say, settings: Settings) -> None:
    import polars as pl

    workspace = Workspace.open(settings=settings)
    rows = pl.DataFrame({"key": range(20), "value": [0] * 20})
    for name in TABLES:
        store_table(workspace, name, [rows], encrypted=name == "sealed")
    workspace.close()


def _changes(
    say: Say, settings: Settings, url: str, seed: int, kind: str, count: int | None
) -> None:
    """Change tables without end, or as often as is said."""
    dice = random.Random(seed)
    workspace = Workspace.open(settings=settings)

    def kinds() -> Iterator[str]:
        yield kind
        while True:
            yield dice.choice(KINDS)

    for chosen in itertools.islice(kinds(), count):
        change = Change(chosen, dice.choice(TABLES), dice.randrange(_KEYS), dice.randrange(10**9))
        say("begin", msgspec.to_builtins(change))
        say("kept", change.perform(workspace, url))


def _judge(
    say: Say, settings: Settings, url: str, flight: Change | None, restore: bool,
    known: dict[str, dict[str, Rows]], root: Path,
) -> Any:  # fmt: skip
    """Verify everything, read every version, finish an erasure, and restore the newest backup."""
    workspace = Workspace.open(settings=settings)
    complaints = [str(fault) for fault in workspace.verify() if not fault.harmless]
    for name in TABLES:
        table = _table(workspace, name)
        for version in table.history().filter("kept")["version"].to_list():
            _rows_of(table.at(version))
    if flight is not None and flight.kind == "erase":
        flight.perform(workspace, url)
        complaints += [str(fault) for fault in workspace.verify() if not fault.harmless]
    complaints += [str(fault) for fault in verify_backup(workspace, url)]
    rows = {name: _rows_of(_table(workspace, name)) for name in TABLES}
    if flight is not None and flight.kind == "erase":
        for name in TABLES:
            table = _table(workspace, name)
            for version in table.history().filter("kept")["version"].to_list():
                if flight.key in _rows_of(table.at(version)):
                    complaints.append(f"{flight.key} is left in version {version} of {name}")
    if restore:
        newest = list_backups(url, workspace.id)[-1].id
        home = root / "restored"
        shutil.rmtree(home, ignore_errors=True)
        copy = restore_backup(
            url, home, key_file=workspace.home / "keys.json", settings=Settings(home=home)
        )
        held = {name: _rows_of(_table(copy, name)) for name in TABLES}
        # One that was not acknowledged is of a moment since the last change.
        if held != known.get(newest, rows) and newest in known:
            complaints.append(f"the backup {newest} holds {held}, not {known[newest]}")
        copy.close()
    workspace.close()
    return msgspec.to_builtins(Verdict(rows, complaints), str_keys=True)


def main(root: str, rounds: str, seed: str) -> None:
    """Do the rounds, and write the report as the last line of standard output."""
    for module in _LATE:
        import_module(module)
    report = Driver(Path(root), int(rounds), int(seed)).run()
    print(msgspec.json.encode(report).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
