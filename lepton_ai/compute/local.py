"""This machine's engines: threads for work that releases the interpreter lock, else processes."""

import os
import shutil
import socket
import tempfile
import threading
from abc import abstractmethod
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import psutil
from loky import ProcessPoolExecutor, cpu_count

from lepton_ai.compute.engine import Engine, Node, Reference, Resources, TaskLost
from lepton_ai.compute.worker import Call

__all__ = ["ProcessEngine", "ThreadEngine", "shared_threads"]

T = TypeVar("T")


class _Held(Reference[T], Generic[T]):
    """Data in this process's memory."""

    def __init__(self, value: T) -> None:
        self.value = value

    def get(self) -> T:
        return self.value


class _Mapped(Reference[np.ndarray[Any, Any]]):
    """An array in a file that every worker maps into its memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self) -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return array


class _LocalEngine(Engine):
    """Admits a task to the pool once its processors and memory are free, first come first."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cpu_count()
        self._node = Node(
            name=socket.gethostname(),
            cpus=float(max(self.workers, cpu_count())),
            memory=psutil.virtual_memory().total,
            gpus=0.0,
        )
        self._lock = threading.RLock()
        self._free_cpus = float(self.workers)
        self._free_memory = self._node.memory
        self._waiting: deque[tuple[Future[Any], Call[Any], Resources]] = deque()
        self._closed = False

    @abstractmethod
    def _send(self, call: Call[T]) -> "Future[T]":
        """Hand one task to the pool."""

    def _start(self, call: Call[T], resources: Resources) -> "Future[T]":
        outcome: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the engine is closed; open a new one")
            self._waiting.append((outcome, call, resources))
        self._admit()
        return outcome

    def _admit(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                outcome, call, needs = self._waiting[0]
                # A task wider than the pool runs when the pool is empty.
                cpus = min(needs.cpus, float(self.workers))
                if cpus > self._free_cpus + 1e-9 or needs.memory > self._free_memory:
                    return
                self._waiting.popleft()
                if not outcome.set_running_or_notify_cancel():
                    continue
                self._free_cpus -= cpus
                self._free_memory -= needs.memory
                running = self._send(call)
            running.add_done_callback(partial(self._settle, outcome, cpus, needs.memory))

    def _settle(
        self, outcome: "Future[Any]", cpus: float, memory: int, done: "Future[Any]"
    ) -> None:
        with self._lock:
            self._free_cpus += cpus
            self._free_memory += memory
        error = None if done.cancelled() else done.exception()
        if done.cancelled() or isinstance(error, BrokenProcessPool):
            outcome.set_exception(
                TaskLost(
                    "a worker process died under the task (killed, out of memory, or crashed "
                    "in native code); lower the memory a task needs or the number of workers"
                )
            )
        elif error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(done.result())
        self._admit()

    def nodes(self) -> list[Node]:
        """Return this machine."""
        return [self._node]

    def close(self) -> None:
        """Stop the workers; tasks not yet started are cancelled."""
        with self._lock:
            self._closed = True
            for outcome, *_ in self._waiting:
                outcome.cancel()
                outcome.set_running_or_notify_cancel()
            self._waiting.clear()


class ThreadEngine(_LocalEngine):
    """Threads of this process: no start-up, no copies.

    Right for work that releases the interpreter lock: reading, hashing, encryption,
    image codecs, NumPy on large arrays.
    """

    def __init__(self, workers: int | None = None) -> None:
        super().__init__(workers)
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="lepton-engine")

    def _send(self, call: Call[T]) -> "Future[T]":
        return self._threads.submit(call)

    def put(self, value: T) -> Reference[T]:
        """Hold the value; threads share memory."""
        return _Held(value)

    def close(self) -> None:
        """Stop the threads once their present tasks are done."""
        super().close()
        self._threads.shutdown(wait=True, cancel_futures=True)


class ProcessEngine(_LocalEngine):
    """Processes of this machine (loky): right for work in Python itself.

    A worker that dies costs its pool: the pool is started anew and the tasks that were on
    it are tried again.
    """

    def __init__(self, workers: int | None = None) -> None:
        super().__init__(workers)
        self._executor: ProcessPoolExecutor | None = None
        self._shared: Path | None = None

    def _send(self, call: Call[T]) -> "Future[T]":
        for _ in range(2):
            if self._executor is None:
                self._executor = ProcessPoolExecutor(self.workers, timeout=60)
            try:
                sent: Future[T] = self._executor.submit(call)
            except BrokenProcessPool:
                self._executor.shutdown(wait=False, kill_workers=True)
                self._executor = None
            else:
                return sent
        lost: Future[T] = Future()
        lost.set_exception(TaskLost("a fresh pool of worker processes died at once"))
        return lost

    def put(self, value: T) -> Reference[T]:
        """Share a NumPy array through a memory-mapped file; other values travel with each task."""
        if not isinstance(value, np.ndarray) or value.dtype.hasobject:
            return _Held(value)
        with self._lock:
            if self._shared is None:
                self._shared = Path(tempfile.mkdtemp(prefix="lepton-shared-"))
            path = self._shared / f"{len(list(self._shared.iterdir()))}.npy"
            np.save(path, value, allow_pickle=False)
        return _Mapped(path)  # type: ignore[return-value] # T is an array here

    def close(self) -> None:
        """Stop the worker processes and remove what was shared."""
        super().close()
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=False)
        if self._shared is not None:
            shutil.rmtree(self._shared, ignore_errors=True)


def shared_threads(workers: int = 0) -> ThreadEngine:
    """Return this process's thread engine, started at first use.

    Args:
        workers: how many threads; 0: one per core.
    """
    return _threads_of(os.getpid(), workers or cpu_count())


@cache
def _threads_of(process: int, workers: int) -> ThreadEngine:
    # Keyed by process, since threads do not survive a fork.
    return ThreadEngine(workers)
