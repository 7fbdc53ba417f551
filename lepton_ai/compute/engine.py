"""The contract of every engine: where the platform's parallel work runs.

An engine supplies `_start`, `put` and `nodes`; retries, time limits, streaming maps and
tree reductions are written here once, over `concurrent.futures.Future`.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from msgspec import Struct

from lepton_ai.compute.worker import Call, Reference
from lepton_ai.core.errors import InvalidInput, LeptonError

__all__ = ["Engine", "Node", "Reference", "Resources", "TaskLost"]

T = TypeVar("T")
R = TypeVar("R")

_FAN_IN = 8


class TaskLost(LeptonError):
    """A worker died under the task (killed, out of memory, crashed in native code)."""


class Resources(Struct, frozen=True):
    """What one task needs: processors (fractions allowed), bytes of memory, and GPUs."""

    cpus: float = 1.0
    memory: int = 0
    gpus: float = 0.0


class Node(Struct, frozen=True):
    """One machine of an engine: its name and what it has in all."""

    name: str
    cpus: float
    memory: int
    gpus: float


class Engine(ABC):
    """Runs functions elsewhere; the same program runs on every engine.

    Functions, arguments and results must survive the trip to the worker: for engines of
    processes or nodes, module-level functions and plain data do.
    """

    workers: int

    @abstractmethod
    def _start(self, call: Call[T], resources: Resources) -> "Future[T]":
        """Begin one attempt at a task; `TaskLost` tells of a dead worker."""

    @abstractmethod
    def put(self, value: T) -> Reference[T]:
        """Share one large value with all workers, copied at most once per node."""

    @abstractmethod
    def nodes(self) -> list[Node]:
        """Return the machines that tasks may run on now."""

    @abstractmethod
    def close(self) -> None:
        """Stop the workers; tasks not yet started are cancelled."""

    def submit(
        self,
        function: Callable[..., T],
        /,
        *arguments: Any,
        retries: int = 0,
        timeout: float | None = None,
        resources: Resources | None = None,
    ) -> "Future[T]":
        """Run ``function(*arguments)`` once a worker has the resources free.

        Args:
            function: what to run; a `Reference` among the arguments arrives as its data.
            arguments: positional arguments.
            retries: further attempts after a failure of any kind. A dead worker's tasks
                are always tried again, three times at the most.
            timeout: seconds one attempt may run before it fails with `TaskTimedOut`.
            resources: what the task needs; one processor unless said.

        Raises:
            InvalidInput: no node could ever satisfy the resources, or a count is negative.
        """
        if retries < 0 or (timeout is not None and timeout <= 0):
            raise InvalidInput(
                f"retries must be 0 or more and timeout above 0; got {retries} and {timeout}"
            )
        needed = resources or Resources()
        self._check(needed)
        outcome: Future[T] = Future()
        call = Call(function, arguments, timeout)

        def attempt(left: int, losses: int) -> None:
            try:
                started = self._start(call, needed)
            except RuntimeError as error:  # the pool is closed
                outcome.set_exception(error)
                return

            def settle(done: "Future[T]") -> None:
                if done.cancelled():
                    outcome.cancel()
                    outcome.set_running_or_notify_cancel()
                    return
                error = done.exception()
                if isinstance(error, TaskLost) and losses:
                    attempt(left, losses - 1)
                elif error is not None and left:
                    attempt(left - 1, losses)
                elif outcome.set_running_or_notify_cancel():
                    if error is None:
                        outcome.set_result(done.result())
                    else:
                        outcome.set_exception(error)

            # Cancelling the outcome cancels the attempt, so its slot is not wasted.
            outcome.add_done_callback(lambda kept: started.cancel() if kept.cancelled() else None)
            started.add_done_callback(settle)

        attempt(retries, 3)
        return outcome

    def map(
        self,
        function: Callable[..., R],
        items: Iterable[Any],
        *,
        ordered: bool = True,
        in_flight: int | None = None,
        retries: int = 0,
        timeout: float | None = None,
        resources: Resources | None = None,
    ) -> Iterator[R]:
        """Yield ``function(item)`` for each item, as they come.

        The items are taken as needed: never more than ``in_flight`` are being worked on or
        waiting to be taken, so an endless iterator and a slow consumer both work. Leaving
        the iteration early cancels what has not begun.

        Args:
            function: what to run on each item.
            items: any iterable.
            ordered: yield in the order of the items; else as they finish.
            in_flight: how many at once; four for each worker unless said.
            retries: as in `submit`; so are ``timeout`` and ``resources``.
            timeout: seconds one attempt may run.
            resources: what one task needs.
        """
        limit = in_flight or 4 * self.workers
        source = iter(items)
        running: deque[Future[R]] = deque()
        try:
            while True:
                while len(running) < limit:
                    try:
                        item = next(source)
                    except StopIteration:
                        break
                    running.append(
                        self.submit(
                            function, item, retries=retries, timeout=timeout, resources=resources
                        )
                    )
                if not running:
                    return
                if not ordered:
                    finished = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
                    running.remove(finished)
                    running.appendleft(finished)
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()

    def map_reduce(
        self,
        function: Callable[..., R],
        combine: Callable[[R, R], R],
        items: Iterable[Any],
        *,
        retries: int = 0,
        timeout: float | None = None,
    ) -> R:
        """Combine ``function(item)`` over all items, on the workers.

        Partial results are combined eight at a time in a tree whose shape depends on the
        number of items alone, so floating-point results are the same whatever the number
        of workers and whoever finishes first.

        Args:
            function: what to run on each item.
            combine: an associative function of two partial results.
            items: at least one item.
            retries: as in `submit`; so is ``timeout``.
            timeout: seconds one attempt may run.

        Raises:
            InvalidInput: there are no items.
        """
        partials = self.map(function, items, retries=retries, timeout=timeout)
        while True:
            groups = _groups(partials, _FAN_IN)
            results = list(self.map(_Fold(combine), groups, retries=retries, timeout=timeout))
            if not results:
                raise InvalidInput("map_reduce needs at least one item; got none")
            if len(results) == 1:
                return results[0]
            partials = iter(results)

    def _check(self, resources: Resources) -> None:
        """Refuse what no node could ever give."""
        nodes = self.nodes()
        if any(
            value < 0 or value != value
            for value in (resources.cpus, resources.memory, resources.gpus)
        ):
            raise InvalidInput(f"resources must be 0 or more; got {resources}")
        if not any(
            resources.cpus <= node.cpus
            and resources.memory <= node.memory
            and resources.gpus <= node.gpus
            for node in nodes
        ):
            raise InvalidInput(
                f"no node has what the task needs: it asks for {resources}; the nodes have {nodes}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Fold(Generic[R]):
    """Combines a few partial results, left to right; a class so that it can be sent."""

    def __init__(self, combine: Callable[[R, R], R]) -> None:
        self.combine = combine

    def __call__(self, partials: list[R]) -> R:
        result = partials[0]
        for partial in partials[1:]:
            result = self.combine(result, partial)
        return result


def _groups(items: Iterable[R], size: int) -> Iterator[list[R]]:
    group: list[R] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
