"""Where packs lie: a table of kinds of storage, and the local directory.

A pack is a file of sealed objects, one after another. It is written once, on the local disk
as ``.name.partial``, and then published under its name; it never changes afterwards.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.locks import lock_errors
from lepton_ai.core.optional import load
from lepton_ai.core.settings import Settings, holds_password
from lepton_ai.storage.files import sync_directory

__all__ = ["BACKENDS", "Backend", "LocalBackend", "StoredPack", "open_backend"]


class StoredPack(Struct, frozen=True):
    """A pack as the backend sees it."""

    name: str
    size: int


class Backend(Protocol):
    """What the object store asks of a place for packs."""

    spool: Path
    """The local directory in which packs are written before they are published."""

    def publish(self, name: str) -> None:
        """Make the written pack ``spool/.name.partial`` durable under its name."""

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes of a pack; FileNotFoundError when it is not there."""

    def packs(self) -> Iterator[StoredPack]:
        """List the published packs."""

    def being_written(self, name: str) -> bool:
        """Say whether the writer of a published pack may yet commit it."""

    def delete(self, name: str) -> None:
        """Remove a pack; one that is gone already is fine."""


class LocalBackend:
    """Packs in a directory of the workspace.

    A writer holds a lock until its transaction ends, so a pack that the database does not
    name is known to be left over as soon as its writer is gone.
    """

    def __init__(self, settings: Settings, workspace_id: str) -> None:
        self.spool = settings.home / "objects"

    def publish(self, name: str) -> None:
        """Rename the pack and make the name durable."""
        partial_path(self.spool, name).rename(self.spool / name)
        sync_directory(self.spool)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Read at a position, without one of its own."""
        descriptor = os.open(self.spool / name, os.O_RDONLY)
        try:
            return os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)

    def packs(self) -> Iterator[StoredPack]:
        """List the files that are not hidden."""
        with os.scandir(self.spool) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    # A writer that fails may remove its pack just now.
                    with suppress(FileNotFoundError):
                        yield StoredPack(entry.name, entry.stat().st_size)

    def being_written(self, name: str) -> bool:
        """Say whether a live process holds the lock of the pack's series."""
        return writer_lives(self.spool, name)

    def delete(self, name: str) -> None:
        """Remove the file."""
        (self.spool / name).unlink(missing_ok=True)


def partial_path(spool: Path, name: str) -> Path:
    """Return where a pack lies while it is written."""
    return spool / f".{name}.partial"


def lock_path(spool: Path, series: str) -> Path:
    """Return the lock that the writer of a series of packs holds."""
    return spool / f".{series}.lock"


def writer_lives(spool: Path, name: str) -> bool:
    """Say whether a process on this machine holds the lock of a pack's or lock's series."""
    try:
        descriptor = os.open(lock_path(spool, name.partition("-")[0]), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        with lock_errors(spool):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


# URL scheme -> what keeps packs there. A scheme that fsspec knows is one row more.
BACKENDS = {
    "": "lepton_ai.storage.backends:LocalBackend",
    "s3": "lepton_ai.storage.remote:RemoteBackend",
}


def open_backend(settings: Settings, workspace_id: str) -> Backend:
    """Return the backend that the setting ``objects_url`` names.

    Raises:
        InvalidInput: the URL's scheme is not one of `BACKENDS`, or it holds a password.
        MissingExtra: the backend's library is not installed.
    """
    if holds_password(settings.objects_url):
        raise InvalidInput(
            "objects_url holds a password, which would be shown; write s3://bucket/prefix, and "
            "give credentials by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    scheme, separator, _ = settings.objects_url.partition("://")
    if bool(separator) != bool(settings.objects_url) or scheme not in BACKENDS:
        known = ", ".join(f"{name}://bucket/prefix" for name in BACKENDS if name)
        raise InvalidInput(
            f"objects_url {settings.objects_url!r} names no known storage; write {known}, "
            "or leave it empty for the directory objects/ in the workspace"
        )
    backend: Backend = load(BACKENDS[scheme], extra="s3")(settings, workspace_id)
    return backend
