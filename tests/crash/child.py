"""A process that is forked to do one thing, tells how far it is, and may be killed meanwhile."""

import faulthandler
import io
import os
import select
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

__all__ = ["Child", "ChildFailed", "Mark"]

# Calls after which the disk or the database may be another: where a crash may tell.
_FILES = {"open", "write", "pwrite", "ftruncate", "fsync", "rename", "replace", "unlink", "mkdir"}
_SQL = {"execute", "executemany", "commit", "rollback"}
_STEPS = _FILES | _SQL


class ChildFailed(AssertionError):
    """A process that should have ended well did not."""


class Mark(Struct, frozen=True):
    """What a child says: a word, something to it, and when.

    ``time`` is in seconds by the clock of all processes, ``steps`` is how many steps it had gone.
    """

    word: str
    body: Any
    time: float
    steps: int


class Child:
    """Forks at once. The parent must have one thread that does anything, and no engine or server.

    Args:
        work: is given ``say(word, body)``; what it returns is the body of the mark ``done``.
        log: where it writes; the end of it is in the message of a `ChildFailed`.
        die_at: the number of the step before which it kills itself; 0: it only counts; None: it
            goes at full speed.
    """

    def __init__(
        self,
        work: Callable[[Callable[..., None]], Any],
        log: Path,
        die_at: int | None = None,
    ) -> None:
        self._log = log
        self._lines, theirs = os.pipe()
        self._rest = b""
        self.marks: list[Mark] = []
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._lines)
            _run(work, log, theirs, die_at)
        os.close(theirs)
        os.set_blocking(self._lines, False)

    def listen(self, word: str | None = None, seconds: float = 0.0) -> bool:
        """Take in marks until a word is said, the child ends, or the time is over.

        Returns:
            Whether the word was said; without a word, whether the child still runs.
        """
        deadline = time.monotonic() + seconds
        while True:
            if word is not None and any(mark.word == word for mark in self.marks):
                return True
            wait = max(0.0, deadline - time.monotonic())
            if not select.select([self._lines], [], [], wait)[0]:
                return word is None
            data = os.read(self._lines, 1 << 16)
            if not data:
                return False
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.marks += [msgspec.json.decode(line, type=Mark) for line in lines]

    def kill(self) -> None:
        """Kill it, whatever it does."""
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> bool:
        """Take in what it still said, once it is dying; return whether it was killed."""
        while self.listen(seconds=60):
            continue
        os.close(self._lines)
        _, status = os.waitpid(self.pid, 0)
        for failed in self.bodies("failed"):
            raise ChildFailed(failed)
        return os.WIFSIGNALED(status)

    def finish(self, seconds: float = 120.0) -> Any:
        """Wait for its good end and return the result.

        Raises:
            ChildFailed: it failed, died, or took too long.
        """
        deadline = time.monotonic() + seconds
        while self.listen(seconds=0.5):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGUSR1)
                time.sleep(0.5)
                self.kill()
                self.end()
                stacks = self._log.read_text(errors="replace")[-6000:]
                raise ChildFailed(f"it was not done after {seconds:.0f} s:\n{stacks}")
        if self.end() or not self.said("done"):
            raise ChildFailed(
                f"it died by itself:\n{self._log.read_text(errors='replace')[-3000:]}"
            )
        return self.bodies("done")[0]

    def said(self, word: str) -> bool:
        """Tell whether it has said a word."""
        return any(mark.word == word for mark in self.marks)

    def bodies(self, word: str) -> list[Any]:
        """Return what it said to a word, each time."""
        return [mark.body for mark in self.marks if mark.word == word]

    def mark(self, word: str) -> Mark:
        """Return the first mark with a word."""
        return next(mark for mark in self.marks if mark.word == word)


def _run(
    work: Callable[[Callable[..., None]], Any], log: Path, out: int, die_at: int | None
) -> None:
    """Be the child; never returns."""
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        faulthandler.register(signal.SIGUSR1)
        steps = _Steps(die_at or 0)

        def say(word: str, body: Any = None) -> None:
            mark = Mark(word, body, time.monotonic(), steps.gone)
            os.write(out, msgspec.json.encode(mark) + b"\n")

        try:
            if die_at is not None:
                threading.setprofile(steps)
                sys.setprofile(steps)
            say("done", work(say))
        except BaseException:
            sys.setprofile(None)
            say("failed", traceback.format_exc())
    finally:
        os._exit(0)


class _Steps:
    """Counts steps in all threads, and ends the process before one, as if the plug were pulled."""

    def __init__(self, die_at: int) -> None:
        self.gone = 0
        self._die_at = die_at

    def __call__(self, frame: Any, event: str, called: Any) -> None:
        if event != "c_call":
            return
        if called.__name__ in _STEPS and _changes(called):
            # Two threads may count one step together; no number needs to be exact.
            self.gone += 1
            if self.gone == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)


def _changes(called: Any) -> bool:
    """Tell whether a C function with the name of a step is one: of a file or a database."""
    if called.__name__ in _FILES and called.__module__ in {"posix", "io"}:
        return True
    owner = getattr(called, "__self__", None)
    return isinstance(owner, sqlite3.Connection | sqlite3.Cursor | io.RawIOBase | io.BufferedWriter)
