"""Packs in object storage (S3 and the like), through fsspec."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import fsspec

from lepton_ai.core.errors import Unavailable
from lepton_ai.core.optional import load
from lepton_ai.core.settings import Settings
from lepton_ai.storage.backends import StoredPack, partial_path, writer_lives

__all__ = ["RemoteBackend"]

# The writer of a pack may sit on another machine, where its lock cannot be seen. A pack that
# no database names is taken for left over once it is older than any transaction lives.
_LEFT_OVER_AFTER = timedelta(days=7)


class RemoteBackend:
    """Packs under ``objects_url/WORKSPACE_ID/``, so that several workspaces share a bucket.

    Credentials and endpoint are the storage's own: for S3 the variables AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL, or its configuration files.
    """

    def __init__(self, settings: Settings, workspace_id: str) -> None:
        load("s3fs", extra="s3")
        self.spool = settings.home / "objects"
        self._url = f"{settings.objects_url.rstrip('/')}/{workspace_id}"

    def publish(self, name: str) -> None:
        """Upload the pack; object storage shows it whole or not at all."""
        local = partial_path(self.spool, name)
        try:
            with self._filesystem() as (filesystem, root):
                filesystem.put_file(str(local), f"{root}/{name}")
                # A proxy that answers in the storage's place says yes to everything.
                kept, size = filesystem.info(f"{root}/{name}", refresh=True), local.stat().st_size
            if kept["size"] != size:
                raise Unavailable(
                    f"object storage {self._url} took the pack {name}, but shows {kept['size']} "
                    f"of its {size} bytes, so nothing was stored; check what answers at its address"
                )
        except FileNotFoundError as error:
            raise Unavailable(
                f"object storage {self._url} does not exist: {error}; "
                "make the bucket, or correct LEPTON_OBJECTS_URL"
            ) from error

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Fetch a range of the pack."""
        with self._filesystem() as (filesystem, root):
            path = f"{root}/{name}"
            try:
                data: bytes = filesystem.cat_file(path, start=offset, end=offset + size)
            except FileNotFoundError:
                raise
            except OSError:
                # A range past the end is an error to S3; to a file it is just the end.
                if filesystem.info(path, refresh=True)["size"] > offset:
                    raise
                return b""
        return data

    def packs(self) -> Iterator[StoredPack]:
        """List the workspace's own prefix."""
        with self._filesystem() as (filesystem, root):
            try:
                entries = filesystem.ls(root, detail=True, refresh=True)
            except FileNotFoundError:
                entries = []
        for entry in entries:
            yield StoredPack(entry["name"].rpartition("/")[2], entry["size"])

    def being_written(self, name: str) -> bool:
        """Say whether the pack's writer may live: it does here, or the pack is young."""
        if writer_lives(self.spool, name):
            return True
        with self._filesystem() as (filesystem, root):
            try:
                published: datetime = filesystem.modified(f"{root}/{name}")
            except FileNotFoundError:
                return False
        return datetime.now(UTC) - published < _LEFT_OVER_AFTER

    def delete(self, name: str) -> None:
        """Remove the pack."""
        with self._filesystem() as (filesystem, root):
            try:
                filesystem.rm_file(f"{root}/{name}")
            except FileNotFoundError:
                return

    @contextmanager
    def _filesystem(self) -> Iterator[tuple[Any, str]]:
        """Give fsspec's filesystem, which it keeps for each process, and our path in it."""
        try:
            yield fsspec.url_to_fs(self._url)
        except FileNotFoundError:
            raise
        except Exception as error:  # every storage has its own errors
            raise Unavailable(
                f"object storage {self._url} does not answer as it should: "
                f"{type(error).__name__}: {' '.join(str(error).split())}; check that it "
                "runs, LEPTON_OBJECTS_URL and its credentials"
            ) from error
