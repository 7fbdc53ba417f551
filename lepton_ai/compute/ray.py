"""A Ray cluster as an engine: the same program, on as many machines as Ray has."""

import shutil
import tempfile
from concurrent.futures import Future
from functools import partial
from typing import Any, Generic, TypeVar

from lepton_ai.compute.engine import Engine, Node, Resources, TaskLost
from lepton_ai.compute.worker import Call, Reference
from lepton_ai.core.errors import Unavailable
from lepton_ai.core.optional import load

__all__ = ["RayEngine"]

T = TypeVar("T")


def _run(call: Call[Any]) -> Any:
    return call()


class _Stored(Reference[T], Generic[T]):
    """Data in Ray's object store; arrays are read from shared memory without a copy."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference

    def get(self) -> T:
        value: T = load("ray", extra="cluster").get(self.reference)
        return value


class RayEngine(Engine):
    """Runs tasks on Ray.

    Args:
        address: ``local`` starts a cluster on this machine that ends with the engine; else
            the address of a running cluster, such as ``10.0.0.5:6379``. Never a search for
            one: a crashed cluster leaves a trace that the next program would try to join.
        workers: processors of a local cluster; one per core unless said.

    Raises:
        MissingExtra: Ray is not installed.
        Unavailable: no cluster answers at the address.
    """

    def __init__(self, address: str = "local", workers: int | None = None) -> None:
        self._ray = load("ray", extra="cluster")
        self._directory = tempfile.mkdtemp(prefix="lepton-ray-") if address == "local" else None
        own = {"num_cpus": workers, "_temp_dir": self._directory, "include_dashboard": False}
        try:
            self._ray.init(
                address=address,
                log_to_driver=False,
                configure_logging=False,
                **(own if address == "local" else {}),
            )
        except ConnectionError as error:
            raise Unavailable(
                f"no Ray cluster answers at {address!r} ({error}); start one with "
                "`ray start --head`, or use address='local'"
            ) from error
        self.workers = max(1, int(sum(node.cpus for node in self.nodes())))
        # Ray's own retries are off: the contract's retries are counted in one place.
        self._task = self._ray.remote(max_retries=0)(_run)

    def _start(self, call: Call[T], resources: Resources) -> "Future[T]":
        if not self._ray.is_initialized():
            raise RuntimeError("the engine is closed; open a new one")
        task = self._task.options(
            num_cpus=resources.cpus, num_gpus=resources.gpus, memory=resources.memory or None
        ).remote(call)
        outcome: Future[T] = Future()
        task.future().add_done_callback(partial(self._settle, outcome))
        # By force: an interrupt does not reach native code, such as a wait for a lost peer.
        outcome.add_done_callback(
            lambda kept: self._ray.cancel(task, force=True) if kept.cancelled() else None
        )
        return outcome

    def _settle(self, outcome: "Future[T]", done: "Future[T]") -> None:
        if not outcome.set_running_or_notify_cancel():
            return
        error = done.exception()
        faults = self._ray.exceptions
        if error is None:
            outcome.set_result(done.result())
        elif isinstance(error, faults.RayTaskError):
            outcome.set_exception(error.cause or error)
        elif isinstance(error, faults.RayError):
            outcome.set_exception(TaskLost(f"a worker or node died under the task: {error}"))
        else:
            outcome.set_exception(error)

    def put(self, value: T) -> Reference[T]:
        """Place the value in Ray's object store, once."""
        return _Stored(self._ray.put(value))

    def nodes(self) -> list[Node]:
        """Return the cluster's living nodes."""
        return [
            Node(
                name=node["NodeManagerHostname"],
                cpus=node["Resources"].get("CPU", 0.0),
                memory=int(node["Resources"].get("memory", 0)),
                gpus=node["Resources"].get("GPU", 0.0),
            )
            for node in self._ray.nodes()
            if node["Alive"]
        ]

    def close(self) -> None:
        """Leave the cluster; one of our own ends."""
        self._ray.shutdown()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
