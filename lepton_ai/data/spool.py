"""Spool: frames that are gone through more than once, in memory while they are few, else on disk.

On disk they are encrypted, each under a key that is only in memory, in a file without a name: a
crash leaves nothing that could be found, and the disk's sectors nothing that could be read.
"""

import io
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl
from msgspec import Struct

from lepton_ai.storage.cipher import KEY_BYTES, SealedReader, seal_content
from lepton_ai.storage.files import disk_errors

__all__ = ["Spool"]

# Of frames that stay in memory.
_MEMORY_BYTES = 128 * 2**20


class _Place(Struct, frozen=True):
    """Where a frame lies in the file: as Arrow IPC of ``size`` bytes, sealed from an offset."""

    offset: int
    size: int
    key: bytes


class Spool:
    """Frames of the same columns, to be gone through any number of times.

    Args:
        frames: taken at once; the first 128 MiB stay in memory.
        folder: on the disk that has room for the others.

    Raises:
        StorageFull: the disk is full.
    """

    def __init__(self, frames: Iterable[pl.DataFrame], folder: Path) -> None:
        self._folder = folder
        self._frames: list[pl.DataFrame | _Place] = []
        self._file: BinaryIO | None = None
        size = 0.0
        for frame in frames:
            size += frame.estimated_size()
            self._frames.append(frame if size <= _MEMORY_BYTES else self._written(frame))

    @property
    def schema(self) -> pl.Schema:
        """The types of the columns."""
        return next((frame.schema for frame in self), pl.Schema())

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for frame in self._frames:
            yield self._read(frame) if isinstance(frame, _Place) else frame

    def _written(self, frame: pl.DataFrame) -> _Place:
        buffer = io.BytesIO()
        frame.write_ipc(buffer, compression="lz4")
        key = os.urandom(KEY_BYTES)
        with disk_errors(str(self._folder)):
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (lives on)
                weakref.finalize(self, self._file.close)
            place = _Place(self._file.seek(0, os.SEEK_END), buffer.tell(), key)
            self._file.write(seal_content(key, buffer.getbuffer()))
            self._file.flush()
        return place

    def _read(self, place: _Place) -> pl.DataFrame:
        assert self._file is not None
        number = self._file.fileno()

        def fetch(offset: int, size: int) -> bytes:
            return os.pread(number, size, place.offset + offset)

        reader = SealedReader(place.key, place.size, fetch, "of a spool")
        return pl.read_ipc(io.BytesIO(reader.read()))
