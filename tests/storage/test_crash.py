"""Processes are killed with -9 at random moments; LEPTON_CRASHES says how often (8 unless set)."""

import os
import random
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from lepton_ai.core.settings import Settings
from lepton_ai.storage import Workspace

pytestmark = pytest.mark.crash

CRASHES = int(os.environ.get("LEPTON_CRASHES", "8"))


def killed_after(seconds: float, work: Callable[[int], None], lines: int = 0) -> list[str]:
    """Run work in a process and kill it a while after it wrote some lines; return all its lines."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            work(writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as output:
        written = [output.readline() for _ in range(lines)]
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the work ended before it could be killed"
        return [line.strip() for line in [*written, *output]]


def content(name: str, number: int) -> bytes:
    return f"{name} {number} ".encode() * (20_000 if number == 0 else 3)


def work_for_ever(workspace: Workspace, seed: int, out: int) -> None:
    choice = random.Random(seed)
    number = 0
    while True:
        number += 1
        name = f"d{seed}-{number}"
        with workspace.transaction() as tx:
            addresses = [tx.put(content(name, part)) for part in range(4)]
            tx.put(b"loose" * 100)
            node = tx.node("dataset", name, version=True, facts={"parts": 4}, holds=addresses)
            tx.node("model", name, version=True, parents=[(node.id, "data")])
        os.write(out, f"{name}\n".encode())
        match choice.randrange(4):
            case 0:
                workspace.keys.rotate()
            case 1:
                workspace.objects.collect(timedelta(0))


def test_a_killed_writer_leaves_whole_transactions_only(workspace: Workspace) -> None:
    choice = random.Random(1)
    promised: list[str] = []
    for seed in range(CRASHES):

        def work(out: int, seed: int = seed) -> None:
            work_for_ever(workspace, seed, out)

        promised += killed_after(choice.uniform(0, 0.05), work, lines=choice.randrange(4))
        faults = [*workspace.verify()]
        assert all(fault.harmless for fault in faults), faults
        datasets = workspace.lineage.list("dataset")
        models = {node.name for node in workspace.lineage.list("model")}
        assert {node.name for node in datasets} == models >= set(promised)
        for node in datasets[-3:]:
            held = {workspace.objects.get(address) for address in workspace.lineage.holds(node.id)}
            assert held == {content(node.name, part) for part in range(4)}
    assert len(promised) >= CRASHES
    workspace.keys.rotate()
    workspace.objects.collect(timedelta(0))
    assert [*workspace.verify()] == []
    fresh = Workspace.open(settings=workspace.settings)
    assert len(fresh.lineage.list("dataset")) >= len(promised)


def test_a_killed_rotation_is_finished_by_the_next(workspace: Workspace) -> None:
    with workspace.transaction() as tx:
        addresses = [tx.put(b"%d" % number) for number in range(1500)]
        tx.node("dataset", "d", version=True, holds=addresses)
    choice = random.Random(2)

    def rotate_for_ever(out: int) -> None:
        while True:
            workspace.keys.rotate()

    for _ in range(CRASHES):
        killed_after(choice.uniform(0.005, 0.3), rotate_for_ever)
        assert [*workspace.verify()] == []
    workspace.keys.rotate()
    workspace.close()
    again = Workspace.open(settings=workspace.settings)
    assert again.objects.get(addresses[-1]) == b"1499"
    assert (again.home / "keys.json").read_text().count('"id"') == 1
    again.close()


@pytest.mark.empty_database
def test_a_killed_first_use_leaves_nothing_that_disturbs_the_next(
    database_url: str, tmp_path: Path
) -> None:
    choice = random.Random(3)
    for number in range(CRASHES):
        # A database server keeps one workspace; only its first start is new.
        home = tmp_path / ("home" if database_url else f"home{number}")
        settings = Settings(home=home, database_url=database_url)

        def work(out: int, settings: Settings = settings) -> None:
            while True:
                Workspace.open(settings=settings).close()

        killed_after(choice.uniform(0.001, 0.06), work)
        workspace = Workspace.open(settings=settings)
        assert workspace.objects.get(workspace.objects.put(b"x")) == b"x"
        assert [*workspace.verify()] == []
        workspace.close()
