"""Reconciliation: a replica makes what it serves match the table `deployments`.

The table is the desired state. Every replica looks at it four times a second, loads and
verifies a model beside the one that is served, swaps, and reports in the table `replicas`.
A model that cannot be loaded leaves the one before it serving, and the reason in the report.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from msgspec import Struct, to_builtins

from lepton_ai.core.errors import LeptonError
from lepton_ai.ml.predictor import Predictor
from lepton_ai.security.tokens import workspace_token
from lepton_ai.serving.gate import Gate
from lepton_ai.serving.reports import HEARTBEAT_SECONDS, Failure, Loaded
from lepton_ai.serving.served import Served
from lepton_ai.serving.service import Service
from lepton_ai.storage import Workspace
from lepton_ai.storage.schema import deployments, replicas

__all__ = ["Reconciler", "ReplicaIdentity"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25
_TOKEN_SECONDS = 1.0
_RETRY_SECONDS = (5.0, 60.0)


class ReplicaIdentity(Struct, frozen=True):
    """Which replica this is; the generation counts the starts of its server.

    ``host`` is what :func:`lepton_ai.serving.reports.place` returns.
    """

    id: str
    pid: int
    host: str
    port: int
    generation: int


class Reconciler(threading.Thread):
    """The thread of a replica that reconciles until it is told to stop.

    Args:
        workspace: where the desired state lies.
        identity: the row to report in.
        service: what is made to match; it is touched on the loop's thread only.
        gate: gets the token when it is rotated.
        loop: the event loop of the service.
    """

    def __init__(
        self,
        workspace: Workspace,
        identity: ReplicaIdentity,
        service: Service,
        gate: Gate,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(name="reconciler", daemon=True)
        self._workspace = workspace
        self._identity = identity
        self._service = service
        self._gate = gate
        self._loop = loop
        self._stopping = threading.Event()
        self._started_at = datetime.now(UTC)
        self._serving: dict[str, str] = {}
        self._failed: dict[str, Failure] = {}
        self._retry: dict[str, tuple[float, float]] = {}
        self._reported_at = 0.0
        self._token_at = 0.0
        self._complaint = ""

    def stop(self) -> None:
        """Stop reconciling and take the replica's row away."""
        self._stopping.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Reconcile four times a second; a database that does not answer is asked again."""
        pruned = False
        while True:
            try:
                if not pruned:
                    self._prune()
                    pruned = True
                changed = self.reconcile()
                now = time.monotonic()
                if changed or now - self._reported_at >= HEARTBEAT_SECONDS:
                    self._report()
                    self._reported_at = now
                if now - self._token_at >= _TOKEN_SECONDS:
                    self._gate.token = workspace_token(self._workspace)
                    self._token_at = now
                self._complaint = ""
            except Exception as error:
                # What is served goes on being served, whatever befalls the database.
                if str(error) != self._complaint:
                    self._complaint = str(error)
                    logger.exception("cannot read the desired state; serving goes on")
            if self._stopping.wait(POLL_SECONDS):
                break
        self._withdraw()

    def reconcile(self) -> bool:
        """Make what is served match the table once; return whether anything changed."""
        with self._workspace.database.read() as connection:
            rows = connection.execute(
                sa.select(deployments).where(deployments.c.state == "live")
            ).all()
        wanted = {row.name: row for row in rows}
        changed = False
        for name in (self._serving.keys() | self._failed.keys()) - wanted.keys():
            self._serving.pop(name, None)
            self._failed.pop(name, None)
            self._on_loop(self._service.remove, name)
            logger.info("endpoint %r is no longer served", name)
            changed = True
        for name, row in wanted.items():
            if self._serving.get(name) != row.node_id and self._due(name, row.node_id):
                self._load(name, row)
                changed = True
        if not self._service.reconciled:
            self._on_loop(setattr, self._service, "reconciled", True)
            changed = True
        return changed

    def _due(self, name: str, deployment_id: str) -> bool:
        failure = self._failed.get(name)
        if failure is None or failure.deployment_id != deployment_id:
            self._retry.pop(name, None)
            return True
        return time.monotonic() >= self._retry[name][0]

    def _load(self, name: str, row: Any) -> None:
        begin = time.perf_counter()
        try:
            served = load(self._workspace, name, row.node_id, row.model_id)
            self._service.prepare(served)
        except Exception as error:
            reason = str(error) if isinstance(error, LeptonError) else repr(error)
            logger.exception("endpoint %r: deployment %s cannot be loaded", name, row.node_id)
            self._failed[name] = Failure(row.node_id, reason)
            wait = min(
                self._retry.get(name, (0.0, _RETRY_SECONDS[0] / 2))[1] * 2, _RETRY_SECONDS[1]
            )
            self._retry[name] = (time.monotonic() + wait, wait)
            self._on_loop(self._service.fail, name)
            return
        self._on_loop(self._service.swap, served)
        self._serving[name] = row.node_id
        self._failed.pop(name, None)
        self._retry.pop(name, None)
        logger.info(
            "endpoint %r serves %s:%d (%s), loaded in %.2f s",
            name,
            served.model,
            served.version,
            row.node_id,
            time.perf_counter() - begin,
        )

    def _on_loop(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run something on the loop's thread and wait until it has run."""
        done = threading.Event()

        def call() -> None:
            try:
                function(*arguments)
            finally:
                done.set()

        self._loop.call_soon_threadsafe(call)
        # A loop that is going down runs nothing any more.
        while not done.wait(1) and not self._stopping.is_set():
            continue

    def _report(self) -> None:
        identity = self._identity
        values = {
            "pid": identity.pid,
            "host": identity.host,
            "port": identity.port,
            "generation": identity.generation,
            "loaded": to_builtins(Loaded(dict(self._serving), dict(self._failed))),
            "started_at": self._started_at,
            "heartbeat_at": datetime.now(UTC),
        }
        insert = self._workspace.database.insert(replicas).values(id=identity.id, **values)
        with self._workspace.database.write() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))

    def _prune(self) -> None:
        """Remove what earlier servers of this place left behind when they were killed."""
        earlier = sa.and_(
            replicas.c.host == self._identity.host,
            replicas.c.generation < self._identity.generation,
        )
        with self._workspace.database.write() as connection:
            connection.execute(sa.delete(replicas).where(earlier))

    def _withdraw(self) -> None:
        try:
            with self._workspace.database.write() as connection:
                connection.execute(sa.delete(replicas).where(replicas.c.id == self._identity.id))
        except Exception:
            logger.exception("the row of this replica stays; the next server removes it")


def load(workspace: Workspace, endpoint: str, deployment_id: str, model_id: str) -> Served:
    """Load and verify the model of a deployment.

    Raises:
        LeptonError: the model is gone, altered, or cannot be loaded.
    """
    node = workspace.lineage.get(model_id)
    return Served(
        endpoint=endpoint,
        deployment_id=deployment_id,
        model_id=model_id,
        model=node.name,
        version=node.version or 0,
        predictor=Predictor.load(workspace, node),
    )
