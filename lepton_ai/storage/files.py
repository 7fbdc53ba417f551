"""Files that survive a crash, and the errors of a disk that is full."""

import errno
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lepton_ai.core.errors import AccessDenied, LeptonError

__all__ = ["StorageFull", "denied", "disk_errors", "replace_file", "sync_directory"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StorageFull(LeptonError, OSError):
    """The disk, the quota or the file size limit is reached; nothing was changed."""


def denied(home: Path) -> AccessDenied:
    """Return the error of a workspace whose files this user may not read or write."""
    me = os.geteuid()
    try:
        owner = home.stat().st_uid
    except OSError:
        owner = me
    if owner == me:
        advice = f"run: chmod -R u+rwX {home}, or set"
    else:
        advice = f"it belongs to {_user(owner)}: run this as that user, or set"
    return AccessDenied(
        f"the workspace {home} cannot be read and written by {_user(me)}; {advice} "
        "LEPTON_HOME, or --home, to a directory that you may write to"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn "no space left" and its kin into `StorageFull`.

    Args:
        what: what was being written, for the message.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL or isinstance(error, LeptonError):
            raise
        raise StorageFull(
            f"no room to write {what}: {error.strerror}; nothing was changed. "
            "Free some space, then run the same command again"
        ) from error


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable: a rename is only so once its directory is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Write a small private file (mode 0600) so that a crash leaves the old one or the new one.

    One process at a time may do so. A crash may leave a second file besides, which the next call
    overwrites: what was rotated away does not stay on the disk for ever.
    """
    temporary = path.with_name(f".{path.name}.new")
    with disk_errors(str(path)):
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync_directory(path.parent)
