"""A replica: one process of the inference server, started by the supervisor.

It gets a listening socket and a line to the supervisor. On the line it gives signs of life, the
first one when it is ready; when the other end closes, because the supervisor is gone, it answers
what it has and ends.
"""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
import uvicorn
import uvloop
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.ids import new_id
from lepton_ai.core.optional import load
from lepton_ai.security.tokens import workspace_token
from lepton_ai.serving.batching import Pending
from lepton_ai.serving.connection import Connection, cut_off
from lepton_ai.serving.gate import Gate
from lepton_ai.serving.journal import JournalWriter
from lepton_ai.serving.messages import Intake
from lepton_ai.serving.pidfile import PidFile
from lepton_ai.serving.receipts import Batch, Entry, digest_key, journal_of
from lepton_ai.serving.reconcile import Reconciler, ReplicaIdentity
from lepton_ai.serving.reports import place
from lepton_ai.serving.served import Served
from lepton_ai.serving.server import Application
from lepton_ai.serving.service import Service
from lepton_ai.storage import Workspace

__all__ = ["ReplicaOrders", "main"]

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 15
"""How long requests in flight may take once the replica is told to end."""

_EXPLAINER = "lepton_ai.ml.explanation.explainer:Explainer"
_MOST_CONNECTIONS = 4096
_KEEP_ALIVE_SECONDS = 60
_HELD_BODIES = 4
_ROLL_SECONDS = 1.0
_ALIVE_SECONDS = 1.0
_SWITCH_SECONDS = 0.001


class ReplicaOrders(Struct, frozen=True):
    """What the supervisor tells a replica, as JSON in its argument."""

    home: str
    slot: int
    generation: int
    port: int
    listener: int
    line: int


def main(argument: str) -> None:
    """Serve until the supervisor says otherwise; the argument is `ReplicaOrders` as JSON."""
    orders = msgspec.json.decode(argument, type=ReplicaOrders)
    workspace = Workspace.open(orders.home)
    logging.basicConfig(
        stream=sys.stderr,
        level=workspace.settings.log_level.upper(),
        format=f"%(asctime)s %(levelname)s replica {orders.slot} [{os.getpid()}] %(message)s",
    )
    # It warns of every request that is not HTTP: whoever may connect could fill the disk.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    # Threads that decode images hand the interpreter back to the event loop sooner.
    sys.setswitchinterval(_SWITCH_SECONDS)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    own = PidFile(workspace.home / "serving" / "replicas" / f"{orders.slot}.pid")
    own.acquire()
    own.write(os.getpid())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(workspace, orders))
    own.release()


async def _serve(workspace: Workspace, orders: ReplicaOrders) -> None:
    loop = asyncio.get_running_loop()
    directory, secret = journal_of(workspace)
    journal = JournalWriter(directory, secret, new_id("journal"))
    here = place(workspace.home)
    name = f"{here}/{orders.slot}"
    settings = workspace.settings
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1), "worker") as workers:
        service = Service(
            intake=Intake(settings.max_request_bytes, _HELD_BODIES * settings.max_request_bytes),
            record=Recorder(journal, name),
            digest_key=digest_key(workspace),
            workers=workers,
            largest_image=settings.max_image_bytes,
            explain=partial(_explainer, workspace),
        )
        gate = Gate(workspace_token(workspace))
        identity = ReplicaIdentity(name, os.getpid(), here, orders.port, orders.generation)
        reconciler = Reconciler(workspace, identity, service, gate, loop)
        server = uvicorn.Server(
            uvicorn.Config(
                Application(service, gate),
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        # uvicorn has a handler of its own while it serves, and raises the signal once more when
        # it has obeyed; what comes before and after is to be done in any case.
        signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
        line = socket.socket(fileno=orders.line)
        line.setblocking(False)
        loop.add_reader(line, _hear, line, server)
        reconciler.start()
        # Connections wait in the socket's queue until there is a model to answer them.
        while not service.reconciled and not server.should_exit:
            await asyncio.sleep(0.01)
        tasks = [
            loop.create_task(cut_off(server.server_state.connections)),
            loop.create_task(_roll(journal)),
            loop.create_task(_stay_in_touch(server, line)),
        ]
        try:
            await server.serve(sockets=[socket.socket(fileno=orders.listener)])
        finally:
            for task in tasks:
                task.cancel()
            await loop.run_in_executor(None, reconciler.stop)
            loop.remove_reader(line)
            line.close()
    journal.roll()


def _explainer(workspace: Workspace, served: Served) -> Any:
    node = workspace.lineage.get(served.model_id)
    return load(_EXPLAINER, extra="all").load(workspace, node, served.predictor)


def _hear(line: socket.socket, server: uvicorn.Server) -> None:
    with contextlib.suppress(BlockingIOError):
        if not line.recv(64):
            asyncio.get_running_loop().remove_reader(line)
            logger.warning("the supervisor is gone; this replica ends")
            server.should_exit = True


async def _stay_in_touch(server: uvicorn.Server, line: socket.socket) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    # What was imported and loaded lives as long as the process: the collector need not look
    # at it again and again, and need not run at every few hundred requests.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    logger.info("ready")
    while True:
        # From the event loop itself: whatever holds it up is heard of as silence.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            line.send(b"+")
        await asyncio.sleep(_ALIVE_SECONDS)


async def _roll(journal: JournalWriter) -> None:
    while True:
        await asyncio.sleep(_ROLL_SECONDS)
        journal.roll()


class Recorder:
    """Writes the receipts of a batch to the journal.

    Args:
        journal: where they go.
        replica: which replica this is.
    """

    def __init__(self, journal: JournalWriter, replica: str) -> None:
        self._journal = journal
        self._replica = replica

    def __call__(
        self, served: Served, computed: Sequence[tuple[Pending, list[str], NDArray[Any]]]
    ) -> list[str]:
        """Write one record and return the ids of its answers.

        Raises:
            OSError: the record could not be written.
        """
        entries = [
            Entry(new_id("prd"), pending.principal, pending.digest, labels, rows.tobytes())
            for pending, labels, rows in computed
        ]
        batch = Batch(
            time.time(),
            served.endpoint,
            served.deployment_id,
            served.model_id,
            served.version,
            self._replica,
            served.predictor.outcome,
            entries,
        )
        self._journal.append(msgspec.msgpack.encode(batch))
        return [entry.id for entry in entries]
