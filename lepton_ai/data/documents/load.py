"""Loading: files become objects of a transaction, as they are, some megabytes at a time."""

import io
import os
import stat
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from lepton_ai.core.progress import track
from lepton_ai.data.documents.media import HEAD_BYTES
from lepton_ai.data.folder import File
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import Rejected
from lepton_ai.storage import Transaction

__all__ = ["Loaded", "load"]

# Files up to so many are read before they are encrypted and written together.
_BATCH = 4096
_BATCH_BYTES = 8 * 2**20
# Larger files go through memory piece by piece.
_LARGE = 4 * 2**20
# A read of one page or a few is one moment of the file; what takes longer is checked afterwards.
_MOMENT = 64 * 2**10
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
    loaded = Loaded()
    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    for batch in track(batches, "storing files"):
        waiting: list[bytes] = []
        size = 0
        for file in batch:
            # Opened without following a link or waiting on a pipe that took the file's place.
            try:
                number = os.open(file.place, _FLAGS)
            except OSError as error:
                _reject(loaded, file, _failed(error))
                continue
            try:
                status = os.fstat(number)
                length = status.st_size
                if length > _LARGE:
                    # What waits is stored first, so that the columns stay in one order.
                    _put(loaded, transaction, waiting)
                    waiting, size = [], 0
                    head = os.pread(number, HEAD_BYTES, 0)
                    stream = io.BufferedReader(_Steady(number, status))
                    stored = transaction.put_stream(stream)
                    loaded.addresses.append(stored.address)
                    loaded.digests.append(stored.sha256)
                    length = stored.size
                else:
                    data = _read(number, status)
                    waiting.append(data)
                    size += length
                    head = data[:HEAD_BYTES]
            except Unreadable as error:
                _reject(loaded, file, error)
                continue
            finally:
                os.close(number)
            loaded.paths.append(file.path)
            loaded.sizes.append(length)
            loaded.modified.append(status.st_mtime_ns)
            loaded.heads.append(head)
            if size >= _BATCH_BYTES:
                _put(loaded, transaction, waiting)
                waiting, size = [], 0
        _put(loaded, transaction, waiting)
    return loaded


def _put(loaded: Loaded, transaction: Transaction, contents: Sequence[bytes]) -> None:
    addresses, digests = transaction.put_many(contents)
    loaded.addresses += addresses
    loaded.digests += digests


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


def _reject(loaded: Loaded, file: File, why: Unreadable) -> None:
    loaded.rejected.append(Rejected(file.path, why.reason, why.detail))
