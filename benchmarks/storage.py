"""How fast 50,000 small objects are stored, against plainly hashing the same bytes.

Run it with ``python benchmarks/storage.py``; the ratios of one run are what to trust.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lepton_ai.storage import Workspace, source_spec

COUNT, SIZE = 50_000, 2_000


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    contents = [os.urandom(SIZE) for _ in range(COUNT)]
    plain = seconds(lambda: [hashlib.sha256(content).hexdigest() for content in contents])
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder) / "home")
        addresses: list[str] = []

        def put() -> None:
            with workspace.transaction() as tx:
                addresses.extend(tx.put(content) for content in contents)

        def put_sources() -> None:
            with ThreadPoolExecutor(2) as pool, workspace.transaction() as tx:
                specs = []
                for number, sealed in enumerate(
                    pool.map(workspace.objects.seal, contents, chunksize=64)
                ):
                    tx.add(sealed)
                    specs.append(source_spec(workspace.keys, f"/data/{number}.dcm", sealed))
                tx.nodes(specs)

        rows = [
            ("hash them (SHA-256)", plain),
            ("store them, one transaction", seconds(put)),
            ("find them stored, add source nodes", seconds(put_sources)),
            ("find objects and nodes, all stored", seconds(put_sources)),
            (
                "read 5,000 of them",
                seconds(lambda: [*map(workspace.objects.get, addresses[:5000])]),
            ),
            ("verify everything", seconds(lambda: [*workspace.verify()])),
            ("rotate the master key", seconds(workspace.keys.rotate)),
        ]
        workspace.close()
    print(f"{COUNT} objects of {SIZE} bytes")
    for name, taken in rows:
        print(f"{name:40} {taken:8.2f} s  {taken / plain:6.1f} x")


if __name__ == "__main__":
    main()
