"""Storing 50,000 small files as a set of documents, against hashing them.

Each round hashes the files (walk the folder, open, read, SHA-256, close, in one plain loop),
imports them into a fresh workspace, encrypted and durable, and imports them a second time. The
files are in the page cache. What is printed are ratios of times within one round, in seconds that
passed and in processor seconds.

    python benchmarks/ingest.py            # LEPTON_FILES=50000 LEPTON_ROUNDS=5
"""

import hashlib
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lepton_ai.data.documents.read import import_documents
from lepton_ai.storage import Workspace
from lepton_ai.storage.schema import objects

FILES = int(os.environ.get("LEPTON_FILES", "50000"))
ROUNDS = int(os.environ.get("LEPTON_ROUNDS", "5"))
SIZE = 2000


def hash_all(folder: Path) -> dict[str, str]:
    digests = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118 (the plain loop, at its fastest)
            with open(path, "rb") as file:  # noqa: PTH123
                digests[path] = hashlib.sha256(file.read()).hexdigest()
    return digests


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    start, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - used


def count(workspace: Workspace) -> int:
    with workspace.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(objects)) or 0


def main() -> None:
    ratios: dict[str, list[tuple[float, float]]] = {"import": [], "import again": []}
    written = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "files"
        for number in range(FILES):
            place = folder / f"{number // 1000:03d}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number:05d}.txt").write_bytes(os.urandom(SIZE // 2).hex().encode())
        for number in range(ROUNDS + 1):
            base = timed(lambda: hash_all(folder))
            workspace = Workspace.open(Path(temporary) / f"home{number}")

            def work(place: Workspace = workspace) -> None:
                import_documents(folder, workspace=place)

            first = timed(work)
            before = count(workspace)
            again = timed(work)
            written += count(workspace) - before
            workspace.close()
            if number:  # the first round warms caches up
                for name, ours in zip(ratios, (first, again), strict=True):
                    ratios[name].append((ours[0] / base[0], ours[1] / base[1]))
    print(f"{FILES:,} files of {SIZE} bytes, {ROUNDS} rounds; ratios to hashing them\n")
    print(f"{'what':14} {'ratio':>6} {'lowest':>7} {'highest':>8} {'processor':>10}")
    for name, pairs in ratios.items():
        passed, used = zip(*pairs, strict=True)
        print(
            f"{name:14} {statistics.median(passed):6.2f} {min(passed):7.2f} {max(passed):8.2f} "
            f"{statistics.median(used):10.2f}"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\nobjects that importing again wrote: {written}; peak memory {peak} MiB")


if __name__ == "__main__":
    main()
