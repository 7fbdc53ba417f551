"""The journal: encrypted records appended to a file before an answer leaves the process.

One record is one ``write`` to the page cache, so it survives the death of the process by any
signal; what a power failure takes is at most what the operating system had not yet written.
A leaf: bytes in, bytes out.

A file is the magic word, 32 random bytes, then frames: a length of 4 bytes (big-endian) and
that many bytes of AES-256-GCM. Each file has its own key, derived from the secret and the random
bytes, and the nonce is the number of the frame: frames cannot be moved, left out or repeated.

A file is named ``<owner>-<number>.open`` while its owner, who holds a lock on it, appends, and
``.ready`` once it is complete.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lepton_ai.core.errors import Corrupt

__all__ = ["JournalWriter", "complete", "read"]

_MAGIC = b"LPTNJRN1"
_SALT = 32
_ROLL_BYTES = 4 * 2**20
# A file is begun within a few system calls; one that is still not is never going to be.
_BEGUN_SECONDS = 60.0


def _cipher(secret: bytes, salt: bytes) -> AESGCM:
    return AESGCM(hashlib.blake2b(salt, key=secret, digest_size=32, person=_MAGIC).digest())


class JournalWriter:
    """Appends records to files of one directory; used by one thread at a time.

    Args:
        directory: where the files lie; it is made when absent.
        secret: 32 bytes that the reader has too.
        owner: a word that no other writer of the directory uses.
    """

    def __init__(self, directory: Path, secret: bytes, owner: str) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._secret = secret
        self._owner = owner
        self._number = 0
        self._file = -1
        self._size = 0
        self._frames = 0

    def append(self, record: bytes) -> None:
        """Write one record; it is in the file when this returns.

        Raises:
            OSError: the file system is full or broken; the record is then not in the file.
        """
        if self._file < 0:
            self._start()
        sealed = self._cipher.encrypt(self._frames.to_bytes(12, "big"), record, None)
        frame = len(sealed).to_bytes(4, "big") + sealed
        try:
            if os.write(self._file, frame) != len(frame):
                raise OSError("the file system took a part of the record only")
        except OSError:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += len(frame)
        self._frames += 1
        if self._size >= _ROLL_BYTES:
            self.roll()

    def _start(self) -> None:
        self._number += 1
        self._path = self._directory / f"{self._owner}-{self._number:08d}.open"
        salt = os.urandom(_SALT)
        # The name that readers look for appears when the lock is held and the head is written.
        fresh = self._path.with_suffix(".new")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(file, _MAGIC + salt)
            fresh.rename(self._path)
        except OSError:
            os.close(file)
            fresh.unlink(missing_ok=True)
            raise
        self._cipher = _cipher(self._secret, salt)
        self._file = file
        self._size = len(_MAGIC) + _SALT
        self._frames = 0

    def roll(self) -> None:
        """Declare the current file complete, if there is one; the next record begins another."""
        if self._file < 0:
            return
        self._path.rename(self._path.with_suffix(".ready"))
        os.close(self._file)
        self._file = -1


def read(path: Path, secret: bytes) -> Iterator[bytes]:
    """Yield the records of a file in order, up to where a dying writer left off.

    Raises:
        Corrupt: a whole frame does not authenticate: the file was altered.
        FileNotFoundError: the file is gone; its records are elsewhere by now.
    """
    data = memoryview(path.read_bytes())
    head = len(_MAGIC) + _SALT
    if len(data) < head:
        return
    if data[: len(_MAGIC)] != _MAGIC:
        raise Corrupt(f"{path} is no journal of predictions")
    cipher = _cipher(secret, bytes(data[len(_MAGIC) : head]))
    position = head
    number = 0
    while position + 4 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        end = position + 4 + size
        # A file system that lost its power may leave zeros where a frame should have been.
        if size == 0 or end > len(data):
            return
        try:
            yield cipher.decrypt(number.to_bytes(12, "big"), data[position + 4 : end], None)
        except InvalidTag:
            raise Corrupt(f"{path} was altered: record {number} does not authenticate") from None
        position = end
        number += 1


def complete(directory: Path) -> list[Path]:
    """Return the files that nobody appends to any more, oldest first.

    Files whose owner died are among them; their suffix tells. A file whose owner died before it
    held anything is removed.
    """
    if not directory.is_dir():
        return []
    for path in directory.glob("*.new"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _BEGUN_SECONDS:
                path.unlink()
    files = sorted(directory.glob("*.ready"))
    for path in sorted(directory.glob("*.open")):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError):
            continue
        # The owner may have completed the file between the listing and the lock.
        files.append(path if path.exists() else path.with_suffix(".ready"))
    return [path for path in dict.fromkeys(files) if path.exists()]
