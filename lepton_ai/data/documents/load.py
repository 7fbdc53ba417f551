"""Loading: files become objects of a transaction, as they are, some megabytes at a time."""

import io
import os
import stat
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from msgspec import Struct, field

from lepton_ai.core.progress import track
from lepton_ai.data.documents.media import HEAD_BYTES
from lepton_ai.data.folder import File
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import Rejected
from lepton_ai.storage import Transaction

__all__ = ["Loaded", "load"]

# Files up to so many, or of so many bytes, are encrypted and written together.
_BATCH = 4096
_BATCH_BYTES = 8 * 2**20
# Larger files go through memory piece by piece.
_LARGE = 4 * 2**20
# A read of one page or a few is one moment of the file; what takes longer is checked afterwards.
_MOMENT = 64 * 2**10
# So many small files are open at once.
_OPEN = 64
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class Loaded(Struct):
    """The files that were stored, column by column, and those that could not be read."""

    paths: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    modified: list[int] = field(default_factory=list)
    """In nanoseconds since 1970."""
    heads: list[bytes] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def load(files: Sequence[File], transaction: Transaction) -> Loaded:
    """Store files in a transaction; what cannot be read is kept aside, with the reason."""
    loading = _Loading(transaction)
    for start in track(range(0, len(files), _OPEN), "storing files"):
        some = files[start : start + _OPEN]
        small = _read_small(some)
        if small is not None:
            loading.take(some, *small)
        else:
            for file in some:
                loading.open(file)
    loading.put()
    return loading.loaded


class _Loading:
    """What was stored so far, and the contents that wait to be stored together."""

    def __init__(self, transaction: Transaction) -> None:
        self.loaded = Loaded()
        self._transaction = transaction
        self._waiting: list[bytes] = []
        self._bytes = 0

    def open(self, file: File) -> None:
        """Read one file, whatever it is by now, and take it in or set it aside."""
        # Opened without following a link or waiting on a pipe that took the file's place.
        try:
            number = os.open(file.place, _FLAGS)
        except OSError as error:
            self._reject(file, _failed(error))
            return
        try:
            status = os.fstat(number)
            if status.st_size > _LARGE:
                self._stream(file, number, status)
            else:
                self.take([file], [status], [_read(number, status)])
        except Unreadable as error:
            self._reject(file, error)
        finally:
            os.close(number)

    def take(
        self, files: Sequence[File], statuses: Sequence[os.stat_result], contents: Sequence[bytes]
    ) -> None:
        """Take in files that were read."""
        loaded = self.loaded
        sizes = [*map(len, contents)]
        loaded.paths += [file.path for file in files]
        loaded.sizes += sizes
        loaded.modified += [status.st_mtime_ns for status in statuses]
        loaded.heads += [content[:HEAD_BYTES] for content in contents]
        self._waiting += contents
        self._bytes += sum(sizes)
        if self._bytes >= _BATCH_BYTES or len(self._waiting) >= _BATCH:
            self.put()

    def put(self) -> None:
        """Store what waits."""
        addresses, digests = self._transaction.put_many(self._waiting)
        self.loaded.addresses += addresses
        self.loaded.digests += digests
        self._waiting, self._bytes = [], 0

    def _stream(self, file: File, number: int, status: os.stat_result) -> None:
        # What waits is stored first, so that the columns stay in one order.
        self.put()
        head = os.pread(number, HEAD_BYTES, 0)
        stored = self._transaction.put_stream(io.BufferedReader(_Steady(number, status)))
        loaded = self.loaded
        loaded.paths.append(file.path)
        loaded.sizes.append(stored.size)
        loaded.modified.append(status.st_mtime_ns)
        loaded.heads.append(head)
        loaded.addresses.append(stored.address)
        loaded.digests.append(stored.sha256)

    def _reject(self, file: File, why: Unreadable) -> None:
        self.loaded.rejected.append(Rejected(file.path, why.reason, why.detail))


def _read_small(files: Sequence[File]) -> tuple[list[os.stat_result], list[bytes]] | None:
    """Read files that are small and regular; None when one of them is not, or gives any trouble.

    One call for all files, then the next: a loop over files would take a fifth longer.
    """
    numbers: list[int] = []
    try:
        # What was opened before one failed is in the list, to be closed.
        numbers.extend(map(os.open, [file.place for file in files], repeat(_FLAGS)))
        statuses = [*map(os.fstat, numbers)]
        sizes = [status.st_size for status in statuses]
        if max(sizes) > _MOMENT or not all(stat.S_ISREG(one.st_mode) for one in statuses):
            return None
        contents = [*map(os.read, numbers, [size + 1 for size in sizes])]
    except OSError:
        return None
    finally:
        for number in numbers:
            os.close(number)
    return (statuses, contents) if [*map(len, contents)] == sizes else None


def _read(number: int, status: os.stat_result) -> bytes:
    """Return all bytes of an open file.

    Raises:
        Unreadable: it is no regular file any more, its disk fails, or it changes meanwhile.
    """
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("special file", "not a regular file any more")
    size = status.st_size
    try:
        data = os.read(number, size + 1)
        if len(data) != size or (size > _MOMENT and _differ(status, os.fstat(number))):
            raise _changed()
    except OSError as error:
        raise _failed(error) from error
    return data


class _Steady(io.RawIOBase):
    """A large open file as a stream that fails at its end if it changed meanwhile."""

    def __init__(self, number: int, status: os.stat_result) -> None:
        self._number = number
        self._status = status

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = os.readv(self._number, [buffer])
            if not count and _differ(self._status, os.fstat(self._number)):
                raise _changed()
        except OSError as error:
            raise _failed(error) from error
        return count


def _differ(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


def _changed() -> Unreadable:
    return Unreadable("changed", "it was written to while it was read; import it again")


def _failed(error: OSError) -> Unreadable:
    return Unreadable("unreadable", error.strerror or str(error))
