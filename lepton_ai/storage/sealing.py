"""From content to a sealed object: hashing, addressing and encryption.

Nothing here touches the database, and the heavy parts release the interpreter lock, so
threads seal side by side.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence

from msgspec import Struct

from lepton_ai.storage.cipher import KEY_BYTES, seal_chunks, seal_content
from lepton_ai.storage.keys import KeyRing

__all__ = [
    "Sealed",
    "Stored",
    "digests_of",
    "seal_object",
    "seal_objects",
    "seal_stream",
]


class Sealed(Struct, frozen=True):
    """An object that is ready to be stored.

    Attributes:
        address: 64 hexadecimal digits: BLAKE2b-256, keyed, of the content's SHA-256.
        sha256: of the content, in hexadecimal.
        size: of the content, in bytes.
        key: the object's own data key, 32 bytes.
        body: the sealed chunks; empty when they were written as they came.
    """

    address: str
    sha256: str
    size: int
    key: bytes
    body: bytes

    def __repr__(self) -> str:
        return f"Sealed(address={self.address!r}, size={self.size})"


class Stored(Struct, frozen=True, gc=False):
    """An object that a transaction has taken in: its address, SHA-256 (hexadecimal) and bytes."""

    address: str
    sha256: str
    size: int


def digests_of(keys: KeyRing, contents: Sequence[bytes]) -> tuple[list[bytes], list[str]]:
    """Return the SHA-256 and the address of each content."""
    digests = [hashlib.sha256(content).digest() for content in contents]
    return digests, keys.addresses(digests)


def seal_objects(contents: Collection[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Encrypt many contents, each under a key of its own; return keys and sealed bodies."""
    # One request for all: each costs as much as encrypting a small file.
    random = os.urandom(KEY_BYTES * len(contents))
    keys = [random[at : at + KEY_BYTES] for at in range(0, len(random), KEY_BYTES)]
    return keys, [*map(seal_content, keys, contents)]


def seal_object(keys: KeyRing, data: bytes | memoryview) -> Sealed:
    """Hash, address and encrypt content that is in memory."""
    digest = hashlib.sha256(data)
    key = os.urandom(KEY_BYTES)
    address = keys.address(digest.digest())
    return Sealed(address, digest.hexdigest(), len(data), key, seal_content(key, data))


def seal_stream(
    keys: KeyRing, chunks: Iterator[bytes], append: Callable[[bytes], object]
) -> Sealed:
    """Hash and encrypt a stream of any length in one pass.

    Args:
        chunks: the content, 256 KiB at a time.
        append: takes the sealed chunks in their order.
    """
    digest = hashlib.sha256()
    key = os.urandom(KEY_BYTES)
    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk

    for sealed in seal_chunks(key, counted()):
        append(sealed)
    return Sealed(keys.address(digest.digest()), digest.hexdigest(), size, key, b"")
