"""Work in a thread of its own, whose outcome is waited for."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["start"]

T = TypeVar("T")


def start(work: Callable[..., T], *arguments: object) -> "Future[T]":
    """Begin work in a thread of its own and return what becomes of it.

    A pool would refuse work once the program's main thread has ended, though others still run.
    Nothing waits for the thread at the end of the program: wait for the outcome.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work(*arguments))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="lepton-background", daemon=True).start()
    return outcome
