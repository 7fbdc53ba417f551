"""What happens inside a worker: shared data is resolved, the time limit kept."""

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import wait
from types import FrameType
from typing import Any, Generic, TypeVar

from lepton_ai.core.background import start
from lepton_ai.core.errors import LeptonError
from lepton_ai.security.principal import acting_as, current_principal

__all__ = ["Call", "Reference", "TaskTimedOut"]

T = TypeVar("T")


class Reference(ABC, Generic[T]):
    """A handle on data shared once; as an argument of a task it arrives as the data."""

    @abstractmethod
    def get(self) -> T:
        """Return the shared data, read-only."""


class TaskTimedOut(LeptonError, TimeoutError):
    """One attempt at a task ran longer than its time limit."""


class Call(Generic[T]):
    """One attempt at a task, as it travels to its worker, with the principal who asked for it."""

    def __init__(
        self, function: Callable[..., T], arguments: tuple[Any, ...], timeout: float | None
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.timeout = timeout
        self.principal = current_principal()

    def __call__(self) -> T:
        """Run the function with shared data in place, for at most ``timeout`` seconds.

        In a worker process the limit interrupts the work itself (SIGALRM). A thread cannot
        be interrupted: there the attempt fails on time and its work is left to end by itself.

        Raises:
            TaskTimedOut: the limit was reached.
        """
        arguments = tuple(
            item.get() if isinstance(item, Reference) else item for item in self.arguments
        )
        if self.timeout is None:
            return self._run(*arguments)
        main = threading.current_thread() is threading.main_thread()
        run = _alarmed if main and hasattr(signal, "setitimer") else _abandoned
        return run(self._run, self.timeout, arguments)

    def _run(self, *arguments: Any) -> T:
        with acting_as(self.principal):
            return self.function(*arguments)


def _message(timeout: float) -> str:
    return f"the task ran longer than its limit of {timeout:g} s; raise timeout or split the task"


def _alarmed(function: Callable[..., T], timeout: float, arguments: tuple[Any, ...]) -> T:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TaskTimedOut(_message(timeout))

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        return function(*arguments)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _abandoned(function: Callable[..., T], timeout: float, arguments: tuple[Any, ...]) -> T:
    outcome = start(function, *arguments)
    if not wait([outcome], timeout).done:
        raise TaskTimedOut(_message(timeout))
    return outcome.result()
