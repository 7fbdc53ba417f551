"""Authenticated encryption of stored bytes.

Content is sealed in chunks by the STREAM construction (Hoang, Reyhanitabar, Rogaway and
Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015):
AES-256-GCM, 256 KiB a chunk, the nonce being the chunk's number and a flag on the last one.
A chunk that is altered, moved, left out or cut off fails. Every object has its own random
key, so chunks of one cannot stand in another.

Short values (wrapped keys, facts) are sealed whole under a key derived from a random salt,
so that any number of them may share one key.
"""

import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lepton_ai.core.errors import Corrupt

__all__ = [
    "CHUNK",
    "KEY_BYTES",
    "SealedReader",
    "Truncated",
    "seal",
    "seal_chunk",
    "seal_chunks",
    "seal_content",
    "seal_many",
    "sealed_size",
    "unseal",
    "unseal_numbered",
]

CHUNK = 256 * 1024
KEY_BYTES = 32
_TAG = 16
_STRIDE = CHUNK + _TAG
_SALT = 24
_ZERO_NONCE = bytes(12)
# Of values that are sealed many at once: what their key is derived for, and their nonces' start.
_MANY = b"many"
_NUMBER = 4
_NUMBERED = bytes(12 - _NUMBER)
# Of content that is one chunk: its number 0, and the flag of the last.
_ONLY_NONCE = bytes(11) + b"\x01"
# The most sealed chunks fetched at once: 8 MiB keep a remote store busy and memory small.
_BURST = 32


class Truncated(Corrupt):
    """Stored bytes end before the content does."""


def seal(key: bytes, data: bytes, context: bytes) -> bytes:
    """Seal a short value: 24 bytes of salt, the ciphertext, 16 bytes of tag.

    Args:
        key: 32 bytes.
        context: what the value belongs to; `unseal` must be given the same.
    """
    salt = os.urandom(_SALT)
    return salt + _derived(key, salt).encrypt(_ZERO_NONCE, data, context)


def seal_many(key: bytes, values: Sequence[bytes], contexts: Sequence[bytes]) -> list[bytes]:
    """Seal many short values under one key derived for all of them, each with its own nonce.

    Four times as fast as `seal`. A value is 24 bytes of salt, 4 of its number, the ciphertext and
    16 bytes of tag; `unseal_numbered` opens it.
    """
    salt = os.urandom(_SALT)
    encrypt = _derived(key, salt, _MANY).encrypt
    numbers = [number.to_bytes(_NUMBER) for number in range(len(values))]
    return [
        salt + number + encrypt(_NUMBERED + number, value, context)
        for number, value, context in zip(numbers, values, contexts, strict=True)
    ]


def unseal_numbered(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Return a value that `seal_many` sealed.

    Raises:
        Corrupt: as `unseal`.
    """
    number = sealed[_SALT : _SALT + _NUMBER]
    cipher = _derived(key, sealed[:_SALT], _MANY)
    try:
        return cipher.decrypt(_NUMBERED + number, sealed[_SALT + _NUMBER :], context)
    except (InvalidTag, ValueError) as error:
        raise Corrupt("a sealed value fails authentication: it or its key was altered") from error


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Return the value that `seal` sealed.

    Raises:
        Corrupt: the value, its key or its context is not the one it was sealed with.
    """
    try:
        return _derived(key, sealed[:_SALT]).decrypt(_ZERO_NONCE, sealed[_SALT:], context)
    except InvalidTag as error:
        raise Corrupt("a sealed value fails authentication: it or its key was altered") from error


def _derived(key: bytes, salt: bytes, use: bytes = b"") -> AESGCM:
    # Keyed BLAKE2b is a pseudorandom function (RFC 7693), and faster than HMAC on short input.
    return AESGCM(hashlib.blake2b(salt, key=key, digest_size=KEY_BYTES, person=use).digest())


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11) + (b"\x01" if last else b"\x00")


def chunk_count(size: int) -> int:
    """Return how many chunks hold ``size`` bytes; empty content has one, empty, chunk."""
    return max(1, -(-size // CHUNK))


def sealed_size(size: int) -> int:
    """Return how many bytes ``size`` bytes of content take when sealed."""
    return size + _TAG * chunk_count(size)


def seal_content(key: bytes, data: bytes | memoryview) -> bytes:
    """Seal content that is in memory; hashing and AES release the interpreter lock."""
    cipher = AESGCM(key)
    if len(data) <= CHUNK:
        return cipher.encrypt(_ONLY_NONCE, data, None)
    view = memoryview(data)
    count = chunk_count(len(view))
    return b"".join(
        cipher.encrypt(_nonce(n, n == count - 1), view[n * CHUNK : (n + 1) * CHUNK], None)
        for n in range(count)
    )


def seal_chunk(cipher: AESGCM, chunk: bytes, number: int, *, last: bool) -> bytes:
    """Seal one chunk of content, of 256 KiB unless it is the last."""
    return cipher.encrypt(_nonce(number, last), chunk, None)


def seal_chunks(key: bytes, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Seal a stream of chunks, each of 256 KiB but the last, as they come."""
    cipher = AESGCM(key)
    previous, number = b"", 0
    for index, chunk in enumerate(chunks):
        if index:
            yield cipher.encrypt(_nonce(number, False), previous, None)
            number += 1
        previous = chunk
    yield cipher.encrypt(_nonce(number, True), previous, None)


class SealedReader(io.BufferedIOBase):
    """Sealed content as a seekable, read-only file of plain bytes.

    Any number of threads may share one: `pread` has no position, and `read` moves the
    position under a lock.

    Args:
        key: the content's data key, 32 bytes.
        size: plain bytes.
        fetch: returns ``size`` sealed bytes from an offset of the sealed content.
        name: what to call the content in an error.
    """

    def __init__(
        self, key: bytes, size: int, fetch: Callable[[int, int], bytes], name: str
    ) -> None:
        self._cipher = AESGCM(key)
        self._fetch = fetch
        self._count = chunk_count(size)
        self._lock = threading.Lock()
        self._position = 0
        self._kept: tuple[int, bytes] | None = None
        self.size = size
        self.name = name

    def pread(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` plain bytes from ``offset``, fewer only at the end.

        Raises:
            Corrupt: the stored bytes were altered or truncated.
        """
        end = min(offset + size, self.size)
        if offset >= end and not (offset == 0 == self.size):
            return b""
        first, final = offset // CHUNK, max(end - 1, 0) // CHUNK
        if first == final:
            start = first * CHUNK
            return self._chunk(first)[offset - start : end - start]
        parts: list[bytes] = []
        for burst in range(first, final + 1, _BURST):
            parts += self._decrypt(burst, min(_BURST, final + 1 - burst))
        parts[0] = parts[0][offset - first * CHUNK :]
        parts[-1] = parts[-1][: end - final * CHUNK]
        return b"".join(parts)

    def _chunk(self, number: int) -> bytes:
        # Small reads in a row (a DICOM header) must not decrypt their chunk again and again.
        kept = self._kept
        if kept is None or kept[0] != number:
            kept = (number, self._decrypt(number, 1)[0])
            self._kept = kept
        return kept[1]

    def _decrypt(self, first: int, count: int) -> list[bytes]:
        """Fetch and authenticate neighbouring chunks."""
        begin = first * _STRIDE
        end = min(begin + count * _STRIDE, sealed_size(self.size))
        sealed = memoryview(self._fetch(begin, end - begin))
        if len(sealed) != end - begin:
            raise Truncated(
                f"object {self.name} is truncated: {len(sealed)} of {end - begin} sealed bytes "
                f"at {begin}; run `lepton storage verify`, then restore it from a backup"
            )
        plain = []
        for number in range(first, first + count):
            chunk = sealed[(number - first) * _STRIDE : (number - first + 1) * _STRIDE]
            try:
                nonce = _nonce(number, number == self._count - 1)
                plain.append(self._cipher.decrypt(nonce, chunk, None))
            except InvalidTag as error:
                raise Corrupt(
                    f"object {self.name} fails authentication in chunk {number}: its stored bytes "
                    "were altered; run `lepton storage verify`, then restore it from a backup"
                ) from error
        return plain

    def read(self, size: int | None = -1) -> bytes:
        """Return the next ``size`` bytes, or all that follow."""
        with self._lock:
            rest = max(0, self.size - self._position)
            data = self.pread(self._position, rest if size is None or size < 0 else size)
            self._position += len(data)
        return data

    def read1(self, size: int = -1) -> bytes:
        """Return the next bytes; the same as `read`, as nothing here waits for more."""
        return self.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; past the end is allowed, as in any file."""
        with self._lock:
            base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
            if base + offset < 0:
                raise ValueError(f"cannot seek to {base + offset}, before the start")
            self._position = base + offset
            return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought."""
        return True
