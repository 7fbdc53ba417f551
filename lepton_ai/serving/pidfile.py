"""A pid file that cannot be stale: its owner holds a lock on it for as long as it lives.

The kernel releases the lock when the owner ends in whatever way, and a process id that was
given away again is not mistaken for the owner. A leaf.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from lepton_ai.core.errors import Conflict
from lepton_ai.core.locks import lock_errors

__all__ = ["PidFile"]

T = TypeVar("T")

_ATTEMPTS = 20


class PidFile:
    """A file that one live process at a time owns, and that says something about it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def acquire(self) -> None:
        """Become the owner, until `release` or the end of the process; the file is then empty.

        Raises:
            Conflict: another process is.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A process that looks whether there is an owner holds the lock for an instant itself.
        for attempt in range(_ATTEMPTS, -1, -1):
            try:
                with lock_errors(self.path.parent):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 0:
                    os.close(file)
                    raise Conflict(f"another process holds {self.path}") from None
                time.sleep(0.02)
        os.ftruncate(file, 0)
        self._file = file

    def write(self, value: object) -> None:
        """Say something about the owner, in the place of what was said before."""
        data = msgspec.json.encode(value)
        os.pwrite(self._file, data, 0)
        os.ftruncate(self._file, len(data))

    def release(self) -> None:
        """Stop being the owner; the file stays, and is empty."""
        os.ftruncate(self._file, 0)
        os.close(self._file)
        self._file = -1

    def held(self) -> bool:
        """Tell whether a live process, this one or another, is the owner."""
        try:
            with self.path.open("rb") as file, lock_errors(self.path.parent):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def read(self, kind: type[T]) -> T | None:
        """Return what a live owner says; None when there is no owner or it says nothing yet."""
        if not self.held():
            return None
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=kind)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
