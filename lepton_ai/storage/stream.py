"""Streams: objects that are sealed while somebody writes them, several at a time.

What PyArrow and PyIceberg write through: they take a file and call ``write`` until they are done,
each in a thread of its own.
"""

import hashlib
import io
import os
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lepton_ai.core.errors import InvalidInput
from lepton_ai.storage.cipher import CHUNK, KEY_BYTES, SealedReader, seal_chunk
from lepton_ai.storage.keys import KeyRing
from lepton_ai.storage.packs import PackWriter
from lepton_ai.storage.sealing import Sealed

__all__ = ["ObjectStream"]

# What is larger gets a pack of its own instead of staying in memory until the end.
_SPILL_BYTES = 8 * 2**20


class ObjectStream(io.RawIOBase):
    """A write-only file that becomes an object when it is closed; get one from `Transaction`.

    Used by one thread at a time; streams of one transaction do not wait for each other.

    Args:
        keys: gives the address.
        may_wait: says whether so many sealed bytes may stay in memory until the transaction ends.
        begin_pack: starts a pack of the transaction, for content that is large.
        done: takes what was sealed and, for large content, the pack that holds it.

    Attributes:
        sealed: what was written, once the stream is closed; None after `abandon`.
    """

    def __init__(
        self,
        keys: KeyRing,
        may_wait: Callable[[int], bool],
        begin_pack: Callable[[], PackWriter],
        done: Callable[[Sealed, PackWriter | None], None],
    ) -> None:
        self._keys = keys
        self._may_wait = may_wait
        self._begin_pack = begin_pack
        self._done = done
        self._key = os.urandom(KEY_BYTES)
        self._cipher = AESGCM(self._key)
        self._digest = hashlib.sha256()
        self._rest = bytearray()
        self._size = 0
        self._number = 0
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._pack: PackWriter | None = None
        self.sealed: Sealed | None = None

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._size

    def write(self, data: Any) -> int:
        """Take bytes in."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._size += len(view)
        self._rest += view
        # The last chunk is marked, so a full one waits until another byte follows it.
        whole = (len(self._rest) - 1) // CHUNK * CHUNK
        if whole > 0:
            ready = bytes(memoryview(self._rest)[:whole])
            del self._rest[:whole]
            for start in range(0, whole, CHUNK):
                self._keep(ready[start : start + CHUNK], last=False)
        return len(view)

    def close(self) -> None:
        """Seal the last chunk and hand the object to the transaction."""
        if self.closed:
            return
        try:
            self._keep(bytes(self._rest), last=True)
            if self._pack is None and not self._may_wait(self._kept_bytes):
                self._pack = self._begin_pack()
            if self._pack is not None:
                self._spill()
                # A transaction may write more files than a process may hold open.
                self._pack.finish()
            address = self._keys.address(self._digest.digest())
            body = b"".join(self._kept)
            self.sealed = Sealed(address, self._digest.hexdigest(), self._size, self._key, body)
            self._kept = []
            self._done(self.sealed, self._pack)
        finally:
            super().close()

    @property
    def size(self) -> int:
        """How many bytes were written so far."""
        return self._size

    def reader(self) -> SealedReader:
        """Open what was written and closed, before the transaction ends.

        Raises:
            InvalidInput: it was not closed.
        """
        if self.sealed is None:
            raise InvalidInput("only what was written and closed can be read; close it first")
        fetch = self._pack.read if self._pack is not None else _slices(self.sealed.body)
        return SealedReader(self._key, self._size, fetch, "in writing")

    def abandon(self) -> None:
        """Forget what was written; the transaction removes its pack when it ends."""
        super().close()

    def __del__(self) -> None:
        # A stream that nobody closed was abandoned: a file must not appear by accident.
        self.abandon()

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _keep(self, chunk: bytes, *, last: bool) -> None:
        sealed = seal_chunk(self._cipher, chunk, self._number, last=last)
        self._number += 1
        self._kept.append(sealed)
        self._kept_bytes += len(sealed)
        if self._kept_bytes >= _SPILL_BYTES:
            if self._pack is None:
                self._pack = self._begin_pack()
            self._spill()

    def _spill(self) -> None:
        assert self._pack is not None
        self._pack.append(b"".join(self._kept))
        self._kept, self._kept_bytes = [], 0


def _slices(body: bytes) -> Callable[[int, int], bytes]:
    return lambda start, size: body[start : start + size]
