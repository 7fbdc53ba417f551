"""Writing packs: files of sealed objects, and the lock that tells that their writer lives."""

import fcntl
import os
from pathlib import Path

from lepton_ai.core.ids import new_id
from lepton_ai.core.locks import lock_errors
from lepton_ai.storage.backends import Backend, lock_path, partial_path
from lepton_ai.storage.files import disk_errors

__all__ = ["PACK_BYTES", "PackSeries", "PackWriter"]

# A pack is published and a new one begun once it is this large.
PACK_BYTES = 256 * 2**20

# Of one write: several times larger ones take several times as long a byte, as Linux then looks for
# as large pieces of memory to keep them in.
_PIECE = 2**20
# The disk is told of so much at a time.
_SEND_BYTES = 8 * 2**20


class PackSeries:
    """The packs of one transaction, named after it, under one lock.

    The lock is held from before the first pack exists until `release`, which tells a
    collection in another process that the writer lives, whatever the database says so far.
    """

    def __init__(self, backend: Backend) -> None:
        self._name = new_id("pack")
        self._backend = backend
        self._lock_path = lock_path(backend.spool, self._name)
        with disk_errors(str(backend.spool)), lock_errors(backend.spool):
            self._lock = _create_locked(self._lock_path)
        self.packs: list[PackWriter] = []

    def begin(self) -> "PackWriter":
        """Start the next pack of the series."""
        pack = PackWriter(self._backend, f"{self._name}-{len(self.packs):04d}")
        self.packs.append(pack)
        return pack

    def discard(self) -> None:
        """Remove every pack; for a transaction that failed before its commit."""
        try:
            for pack in self.packs:
                pack.discard()
        finally:
            self.release()

    def release(self) -> None:
        """Let go of the lock: from here on the database alone says which packs are used."""
        for pack in self.packs:
            pack.close()
        self._lock_path.unlink(missing_ok=True)
        os.close(self._lock)


class PackWriter:
    """One pack on its way into the backend.

    Raises:
        StorageFull: from any method that writes, when the disk is full.
    """

    def __init__(self, backend: Backend, name: str) -> None:
        self.name = name
        self.size = 0
        self._sent = 0
        self._backend = backend
        self._path = partial_path(backend.spool, name)
        with disk_errors(str(backend.spool)):
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._writing = True
        self._lies_here = True
        self.published = False

    def append(self, sealed: bytes) -> int:
        """Write at the end and return the offset."""
        offset = self.size
        rest = memoryview(sealed)
        with disk_errors(str(self._path.parent)):
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest[:_PIECE]) :]
            except BaseException:
                # The transaction may go on, so the next object must begin where this one did.
                self.cut(offset)
                raise
        self.size += len(sealed)
        if self.size - self._sent >= _SEND_BYTES:
            self._send()
        return offset

    def _send(self) -> None:
        """Let the disk begin on what was appended, so that `finish` has little left to wait for."""
        # What Linux is told to need no more it writes at once, without being waited for.
        if hasattr(os, "posix_fadvise"):
            advice = os.POSIX_FADV_DONTNEED
            os.posix_fadvise(self._descriptor, self._sent, self.size - self._sent, advice)
        self._sent = self.size

    def cut(self, size: int) -> None:
        """Drop what was appended past a size."""
        os.ftruncate(self._descriptor, size)
        self.size = os.lseek(self._descriptor, size, os.SEEK_SET)

    def read(self, offset: int, size: int) -> bytes:
        """Read what was appended, until the pack is published."""
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            return os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)

    def finish(self) -> None:
        """Make what was appended durable, and hold no open file: nothing more is appended."""
        if self._writing:
            with disk_errors(str(self._path.parent)):
                os.fsync(self._descriptor)
            self._writing = False
            os.close(self._descriptor)

    def publish(self) -> None:
        """Make the pack durable under its name."""
        self.finish()
        with disk_errors(str(self._path.parent)):
            self._backend.publish(self.name)
        self.published = True
        self.close()

    def discard(self) -> None:
        """Remove every trace of the pack."""
        if self.published:
            self._backend.delete(self.name)
        self.close()

    def close(self) -> None:
        """Close the file, and remove it where publishing did not move it away."""
        if self._writing:
            self._writing = False
            os.close(self._descriptor)
        if self._lies_here:
            self._path.unlink(missing_ok=True)
            self._lies_here = False


def _create_locked(path: Path) -> int:
    """Create a lock file and hold its lock before anyone takes it for a leftover."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        # A collection removed it between the two calls above.
        os.close(descriptor)
