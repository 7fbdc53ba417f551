"""The key ring: master keys, what they wrap, and their rotation.

Master keys wrap data keys (one for each object) and secrets (named keys of the workspace).
Every wrapped row names its master key, and the database names the active one, under which
writers wrap. A rotation by another process therefore loses nothing: rows are rewrapped one
batch after another, and either key opens its own.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy import Connection

from lepton_ai.core.errors import Corrupt, LeptonError, NotFound
from lepton_ai.core.settings import Settings
from lepton_ai.storage.cipher import KEY_BYTES, seal, seal_many, unseal, unseal_numbered
from lepton_ai.storage.database import BATCH, Database
from lepton_ai.storage.keysources import SOURCES, MasterKey
from lepton_ai.storage.schema import objects, secrets, state

__all__ = ["KeyLost", "KeyRing"]


class KeyLost(LeptonError):
    """The master key that the workspace is sealed under is not in any key source."""


class KeyRing:
    """The keys of one workspace.

    Args:
        database: holds what is wrapped, and the id of the active master key.
        settings: where the master keys come from.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._home: Path = settings.home
        self._sources = {name: make(settings) for name, make in SOURCES.items()}
        self._masters: dict[str, MasterKey] = {}

    def initialise(self, connection: Connection) -> None:
        """Give a fresh database its master key and the secrets that every workspace has.

        The key is durable before the database names it, so a crash between the two only
        leaves a key that the next start uses.
        """
        master = self._newest() or self._sources["file"].create()
        self._masters[master.id] = master
        connection.execute(sa.insert(state).values(key="active_key", value=master.id))
        for name in _OWN:
            self._add_secret(connection, name, os.urandom(32))

    def check(self) -> None:
        """Make sure that the keys at hand open this workspace.

        Raises:
            KeyLost: a key source lost the active key.
            Corrupt: a key or what it wraps was altered.
        """
        _ = self._own

    def address(self, sha256: bytes) -> str:
        """Return the address of content: 64 hexadecimal digits, keyed, so they reveal nothing."""
        return hashlib.blake2b(sha256, key=self._own["address"], digest_size=32).hexdigest()

    def addresses(self, digests: Sequence[bytes]) -> list[str]:
        """Return the address of each of many contents, by their SHA-256."""
        # A copy need not take the key in again.
        begun = hashlib.blake2b(key=self._own["address"], digest_size=32)
        found = []
        for digest in digests:
            hashed = begun.copy()
            hashed.update(digest)
            found.append(hashed.hexdigest())
        return found

    def token(self, text: str) -> str:
        """Return a keyed hash of a text: equal texts share it, and it cannot be undone."""
        # Names of files need not be valid UTF-8; Python smuggles such bytes as surrogates.
        data = text.encode(errors="surrogatepass")
        return hashlib.blake2b(data, key=self._own["token"], digest_size=16).hexdigest()

    def seal(self, data: bytes, context: bytes) -> bytes:
        """Seal a value for the database, bound to what it belongs to."""
        return seal(self._own["seal"], data, context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """Open what `seal` made.

        Raises:
            Corrupt: the value was altered or belongs elsewhere.
        """
        return unseal(self._own["seal"], sealed, context)

    def secret(self, name: str, length: int = 32) -> bytes:
        """Return a named secret of the workspace, made of random bytes at its first use.

        Read from the database on every call, so that a secret replaced by another process
        is seen.
        """
        with self._database.read() as connection:
            found = self._find_secret(connection, name)
        if found is None:
            with self._database.write() as connection:
                self._add_secret(connection, name, os.urandom(length))
                # Another process may have been faster; what the database holds is the secret.
                found = self._find_secret(connection, name)
        if found is None:
            raise NotFound(f"the secret {name!r} was removed while it was being made; try again")
        return found

    def replace_secret(self, name: str, length: int = 32) -> bytes:
        """Make a named secret anew and return it; whoever knew the old one knows nothing now."""
        value = os.urandom(length)
        with self._database.write() as connection:
            connection.execute(sa.delete(secrets).where(secrets.c.name == name))
            self._add_secret(connection, name, value)
        return value

    def active(self, connection: Connection) -> MasterKey:
        """Return the master key to wrap under; ask inside the write transaction."""
        active = connection.scalar(sa.select(state.c.value).where(state.c.key == "active_key"))
        if active is None:
            raise Corrupt(
                "the metadata database names no active master key; restore it from a backup"
            )
        return self._master(active)

    def wrap(self, master: MasterKey, key: bytes, context: str) -> bytes:
        """Seal a key under a master key, bound to what it is the key of."""
        return seal(master.key, key, context.encode())

    def wrap_many(
        self, master: MasterKey, keys: Sequence[bytes], contexts: Sequence[str]
    ) -> list[bytes]:
        """Seal many data keys at once, each bound to the address of its object; see `wrap`."""
        return seal_many(master.key, keys, [context.encode() for context in contexts])

    def unwrap(self, key_id: str, wrapped: bytes, context: str) -> bytes:
        """Open what `wrap` made.

        Raises:
            KeyLost: no source holds the master key.
            Corrupt: the wrapped key was altered or belongs elsewhere.
        """
        # A damaged row may hold anything, and nothing at all.
        wrapped = wrapped if isinstance(wrapped, bytes) else b""
        opening = unseal_numbered if len(wrapped) == _NUMBERED else unseal
        master = self._master(key_id)
        try:
            return opening(master.key, wrapped, context.encode())
        except Corrupt as error:
            raise Corrupt(
                f"the wrapped key of {context} fails authentication under master key {key_id}: "
                "its row was altered; restore the database from a backup"
            ) from error

    def rotate(self) -> int:
        """Put a new master key in the place of the present one and return the rows rewrapped.

        Data is not rewritten: only the wrapped keys are. A rotation that was interrupted is
        finished rather than started anew, and a master key leaves ``keys.json`` only when no
        row needs it.

        Raises:
            InvalidInput: the keys come from LEPTON_MASTER_KEY and it holds no new one.
        """
        with FileLock(self._home / "keys.lock"):
            target = self._target()
            # Alone, so that no transaction in flight still wraps under the old key afterwards.
            with self._database.write(exclusive=True) as connection:
                connection.execute(
                    sa.update(state).where(state.c.key == "active_key").values(value=target.id)
                )
            count = sum(self._rewrap_all(table, target) for table in _WRAPPED)
            with self._database.read() as connection:
                used = self._used(connection) | {target.id}
            source = self._sources["file"]
            source.discard({key.id for key in source.load()} - used)
        return count

    @cached_property
    def _own(self) -> Mapping[str, bytes]:
        """The secrets of the ring itself; they never change, so they are read once."""
        with self._database.read() as connection:
            self.active(connection)
            found = {name: self._find_secret(connection, name) for name in _OWN}
        missing = [name for name, value in found.items() if value is None]
        if missing:
            raise Corrupt(
                f"the metadata database lacks the secrets {', '.join(missing)}; "
                "restore it from a backup"
            )
        return {name: value for name, value in found.items() if value is not None}

    def _target(self) -> MasterKey:
        """Return the key to rotate to: one that waits for it already, or a new one."""
        newest = self._newest()
        with self._database.read() as connection:
            active = self.active(connection)
            behind = self._used(connection) - {active.id}
        if newest is not None and newest.id != active.id:
            return newest
        if behind:
            return active
        name = next(name for name, source in self._sources.items() if source.load())
        created = self._sources[name].create()
        self._masters[created.id] = created
        return created

    def _rewrap_all(self, table: sa.Table, target: MasterKey) -> int:
        """Rewrap a table's rows, one batch a transaction so that other writers get their turn."""
        name, wrapped = _WRAPPED[table]
        count = 0
        while True:
            with self._database.write() as connection:
                rows = connection.execute(
                    sa.select(name, table.c.key_id, wrapped)
                    .where(table.c.key_id != target.id)
                    .order_by(name)
                    .limit(BATCH)
                    .with_for_update()
                ).all()
                if not rows:
                    return count
                statement = (
                    sa.update(table)
                    .where(name == sa.bindparam("row"))
                    .values({"key_id": target.id, wrapped.name: sa.bindparam("new")})
                )
                connection.execute(
                    statement,
                    [
                        {"row": row, "new": self.wrap(target, self.unwrap(key, old, row), row)}
                        for row, key, old in rows
                    ],
                )
            count += len(rows)

    def _used(self, connection: Connection) -> set[str]:
        """Return the ids of the master keys that rows are wrapped under."""
        queries = [sa.select(table.c.key_id) for table in _WRAPPED]
        return set(connection.scalars(sa.union(*queries)))

    def _newest(self) -> MasterKey | None:
        for source in self._sources.values():
            if keys := source.load():
                return keys[0]
        return None

    def _master(self, key_id: str) -> MasterKey:
        if key_id not in self._masters:
            # Another process may have rotated since the sources were read. Keys that left
            # them are kept: a row read a moment ago may still name one.
            for source in self._sources.values():
                self._masters |= {key.id: key for key in source.load()}
        try:
            return self._masters[key_id]
        except KeyError:
            raise KeyLost(
                f"the master key {key_id}, which this workspace is sealed under, is neither in "
                f"{self._home / 'keys.json'} nor in LEPTON_MASTER_KEY; restore the file from a "
                "backup, or copy it from the machine that made the workspace. No other key "
                "opens the data"
            ) from None

    def _find_secret(self, connection: Connection, name: str) -> bytes | None:
        row = connection.execute(sa.select(secrets).where(secrets.c.name == name)).one_or_none()
        return None if row is None else self.unwrap(row.key_id, row.wrapped, name)

    def _add_secret(self, connection: Connection, name: str, value: bytes) -> None:
        master = self.active(connection)
        connection.execute(
            self._database.insert(secrets)
            .values(
                name=name,
                key_id=master.id,
                wrapped=self.wrap(master, value, name),
                created_at=datetime.now(UTC),
            )
            .on_conflict_do_nothing()
        )


# The bytes of a data key that was wrapped by `wrap_many`. A secret of 36 bytes would be as long
# when it is wrapped by `wrap`; there is none.
_NUMBERED = 24 + 4 + KEY_BYTES + 16

# Secrets every workspace has: the key of addresses, of tokens, and of sealed values.
_OWN = ("address", "token", "seal")

# Tables with a wrapped key: the column it is bound to, and its own.
_WRAPPED = {
    secrets: (secrets.c.name, secrets.c.wrapped),
    objects: (objects.c.address, objects.c.wrapped_key),
}
