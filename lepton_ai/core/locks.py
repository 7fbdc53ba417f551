"""Locks of files, on disks that may know none. A leaf."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lepton_ai.core.errors import InvalidInput

__all__ = ["lock_errors"]

# What some network and FUSE mounts answer.
_NONE = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


@contextmanager
def lock_errors(directory: Path) -> Iterator[None]:
    """Turn the errors of a disk without file locks into `InvalidInput`; nothing is safe there.

    Args:
        directory: where the lock is, for the message.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NONE:
            raise
        raise InvalidInput(
            f"the disk of {directory} knows no file locks ({error.strerror}), so processes would "
            "write over each other; use a directory on a local disk, or mount this one with locks"
        ) from error
