"""Runs one attempt at a task inside its worker: resolves shared data, keeps the time limit."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from lepton_ai.core.errors import LeptonError

__all__ = ["TaskTimedOut", "limited"]

T = TypeVar("T")


class TaskTimedOut(LeptonError, TimeoutError):
    """One attempt at a task ran longer than its time limit."""


def limited(function: Callable[..., T], timeout: float | None, arguments: tuple[Any, ...]) -> T:
    """Call the function, for at most so many seconds.

    In a worker process the limit interrupts the work itself (SIGALRM). A thread cannot be
    interrupted: there the attempt fails on time and its work is left to end by itself.

    Raises:
        TaskTimedOut: the limit was reached.
    """
    if timeout is None:
        return function(*arguments)
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _alarmed(function, timeout, arguments)
    return _abandoned(function, timeout, arguments)


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
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function(*arguments))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="lepton-limited-task", daemon=True)
    thread.start()
    thread.join(timeout)
    if errors:
        raise errors[0]
    if not results:
        raise TaskTimedOut(_message(timeout))
    return results[0]
