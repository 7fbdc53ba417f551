"""Where master keys come from: the settings, or a private file in the workspace.

A source lists its keys newest first. The first source in `SOURCES` that has any names the
newest; the keys of the others still open what was sealed under them.
"""

import base64
import binascii
import hmac
import os
import stat
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from lepton_ai.core.errors import AccessDenied, Corrupt, InvalidInput
from lepton_ai.core.settings import Settings
from lepton_ai.storage.cipher import KEY_BYTES
from lepton_ai.storage.files import replace_file

__all__ = ["SOURCES", "EnvironmentKeys", "KeyFile", "KeySource", "MasterKey"]


class MasterKey(Struct, frozen=True):
    """A key that wraps other keys; its id follows from it and reveals nothing."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"MasterKey(id={self.id!r})"

    @classmethod
    def of(cls, key: bytes) -> "MasterKey":
        """Name a key of 32 bytes."""
        return cls(hmac.digest(key, b"lepton master key", "sha256")[:8].hex(), key)


class KeySource(Protocol):
    """A place that holds master keys."""

    def load(self) -> tuple[MasterKey, ...]:
        """Return the keys, newest first; none when the source is not in use."""

    def create(self) -> MasterKey:
        """Make a new newest key and keep it; InvalidInput when only a person can."""

    def discard(self, ids: Collection[str]) -> None:
        """Forget keys that nothing is sealed under any more."""


class EnvironmentKeys:
    """The keys of the setting ``master_key`` (LEPTON_MASTER_KEY); a person changes them."""

    def __init__(self, settings: Settings) -> None:
        self._text = settings.master_key

    def load(self) -> tuple[MasterKey, ...]:
        """Return the keys in the order they are written, newest first."""
        return tuple(_decode(part, "LEPTON_MASTER_KEY") for part in self._text.split(",") if part)

    def create(self) -> MasterKey:
        """Refuse: the process cannot change the variable of its parent."""
        raise InvalidInput(
            "LEPTON_MASTER_KEY holds no new key to rotate to; put one in front, then rotate again: "
            'LEPTON_MASTER_KEY="$(openssl rand -base64 32),$LEPTON_MASTER_KEY"'
        )

    def discard(self, ids: Collection[str]) -> None:
        """Leave the variable as it is; only a person can change it."""


class _Entry(Struct, forbid_unknown_fields=True):
    id: str
    key: str
    created_at: datetime


class _Document(Struct, forbid_unknown_fields=True):
    keys: list[_Entry]


class KeyFile:
    """The file ``keys.json`` of the workspace, which only its owner may read (mode 0600)."""

    def __init__(self, settings: Settings) -> None:
        self.path: Path = settings.home / "keys.json"

    def load(self) -> tuple[MasterKey, ...]:
        """Return the keys of the file, newest first; none when it does not exist.

        Raises:
            AccessDenied: other users may read the file.
            Corrupt: the file cannot be understood, or a key is not the one its id names.
        """
        found = []
        for entry in self._entries():
            key = _decode(entry.key, str(self.path))
            if key.id != entry.id:
                raise Corrupt(
                    f"{self.path}: the key listed as {entry.id} was altered; "
                    "restore the file from a backup"
                )
            found.append(key)
        return tuple(found)

    def create(self) -> MasterKey:
        """Put a random key in front."""
        key = MasterKey.of(os.urandom(KEY_BYTES))
        entry = _Entry(key.id, base64.b64encode(key.key).decode(), datetime.now(UTC))
        self._save([entry, *self._entries()])
        return key

    def discard(self, ids: Collection[str]) -> None:
        """Remove keys by id."""
        entries = self._entries()
        kept = [entry for entry in entries if entry.id not in ids]
        if len(kept) < len(entries):
            self._save(kept)

    def _entries(self) -> list[_Entry]:
        try:
            with self.path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                data = file.read()
        except FileNotFoundError:
            return []
        if mode & 0o077:
            raise AccessDenied(
                f"other users may read the master keys in {self.path} (mode {mode:04o}); "
                f"run: chmod 600 '{self.path}', and consider `lepton keys rotate`"
            )
        try:
            return msgspec.json.decode(data, type=_Document).keys
        except msgspec.DecodeError as error:
            raise Corrupt(
                f"{self.path} is damaged ({error}); restore it from a backup. Without its keys "
                "nothing in the workspace can be read"
            ) from error

    def _save(self, entries: list[_Entry]) -> None:
        document = msgspec.json.format(msgspec.json.encode(_Document(entries)), indent=2)
        replace_file(self.path, document + b"\n")


def _decode(text: str, where: str) -> MasterKey:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidInput(
            f"{where} holds a master key that is not base64 of {KEY_BYTES} bytes; "
            "make one with: openssl rand -base64 32"
        )
    return MasterKey.of(key)


# In order of precedence: what a person sets stands before what the workspace made itself.
SOURCES: dict[str, Callable[[Settings], KeySource]] = {
    "environment": EnvironmentKeys,
    "file": KeyFile,
}
