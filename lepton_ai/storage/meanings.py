"""Meanings: what a database's driver says, in the house's own errors and with what to do next."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from lepton_ai.core.errors import Conflict, Corrupt, LeptonError, Unavailable
from lepton_ai.storage.files import StorageFull, denied

__all__ = ["shown", "translated"]


def shown(url: sa.URL) -> str:
    """Return a database's URL without passwords, which drivers take in the query too."""
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """Say in the house's errors, on one line, what a driver says in its own."""
    try:
        yield
    except (exc.DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, exc.DBAPIError) else error
        text = " ".join(str(cause).split())
        # SQLite's own name of the error says more than its text.
        clues = f"{text} {getattr(cause, 'sqlite_errorname', '')}"
        if _may_not(url, clues):
            raise denied(Path(str(url.database)).parent) from error
        for words, kind, advice in _MEANINGS:
            if any(word in clues for word in words):
                raise kind(f"metadata database {shown(url)}: {text}; {advice}") from error
        raise


def _may_not(url: sa.URL, clues: str) -> bool:
    """Say whether an SQLite file may not be opened or written; one without a folder is no such."""
    folder = Path(str(url.database)).parent
    known = os.access(folder, os.F_OK) and not os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    return "SQLITE_READONLY" in clues or ("SQLITE_CANTOPEN" in clues and known)


_MEANINGS: tuple[tuple[tuple[str, ...], type[LeptonError], str], ...] = (
    (
        ("disk is full", "No space left", "SQLITE_IOERR_SHMSIZE"),
        StorageFull,
        "nothing was changed. Free some space, then run the same command again",
    ),
    (
        ("is locked", "lock timeout", "deadlock detected"),
        Conflict,
        "another process was writing; run the same command again",
    ),
    (
        # The code asks for no table or column that the schema lacks, unless its text was altered.
        (
            "malformed",
            "not a database",
            "unsupported file format",
            "Could not decode",
            "no such ",
            "has no column",
            "foreign key mismatch",
            "already exists",
        ),
        Corrupt,
        "restore it from a backup",
    ),
    (
        ("disk I/O error",),
        Unavailable,
        "nothing was changed. Check the disk, its quota and its mount, then run the command again",
    ),
    (
        (
            "connection failed",
            "could not connect",
            "failed to resolve",
            "timeout expired",
            "server closed the connection",
            "refused",
        ),
        Unavailable,
        "check that the server runs and that LEPTON_DATABASE_URL is right",
    ),
)
