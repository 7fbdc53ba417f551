"""The directory that a restore fills before the workspace gets its place."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lepton_ai.core.errors import Conflict, InvalidInput
from lepton_ai.core.locks import lock_errors
from lepton_ai.storage.files import sync_directory

__all__ = ["check_empty", "drafted", "move_in"]

_DRAFT = ".restoring"
# What an empty directory may hold: a key that was put there, and what a killed restore left.
_MINOR = {"keys.json", _DRAFT}


def check_empty(target: Path) -> None:
    """Make sure that a workspace may be restored into a directory.

    Raises:
        InvalidInput: it holds something, or is a file.
    """
    if target.is_dir():
        there = [path.name for path in target.iterdir() if path.name not in _MINOR]
        if there:
            raise InvalidInput(
                f"{target} is not empty ({there[0]} ...); restore into a new directory, then set "
                "LEPTON_HOME to it"
            )
    elif target.exists():
        raise InvalidInput(f"{target} is a file; restore into a new directory")


@contextmanager
def drafted(target: Path) -> Iterator[Path]:
    """Give an empty directory on the target's disk, which is removed at the end.

    Raises:
        Conflict: another restore fills it.
    """
    # Inside a directory that is there: it may be a disk of its own, or in one of somebody else.
    inside = target.is_dir()
    draft = target / _DRAFT if inside else target.with_name(f".{target.name}{_DRAFT}")
    draft.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(draft, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            with lock_errors(target):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"another process restores into {target} just now") from error
        for path in draft.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (draft / "objects").mkdir(mode=0o700)
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    finally:
        os.close(lock)


def move_in(draft: Path, target: Path) -> None:
    """Let a draft become the target."""
    sync_directory(draft)
    if draft.parent == target:
        # The database last: there is no workspace without it.
        for path in sorted(draft.iterdir(), key=lambda path: path.name == "metadata.db"):
            path.rename(target / path.name)
        sync_directory(target)
    else:
        draft.rename(target)
        sync_directory(target.parent)
