"""Destination: a directory or a bucket that files are put into whole or not at all."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec

from lepton_ai.core.errors import Corrupt, InvalidInput, LeptonError, NotFound, Unavailable
from lepton_ai.core.ids import new_id
from lepton_ai.core.settings import holds_password
from lepton_ai.storage.files import disk_errors, sync_directory

__all__ = ["Destination"]

# The id of a backup is of a time before the year 9775, so that there is always a later one.
_NAME = re.compile(
    r"(packs|files)/[A-Za-z0-9_-]{1,80}|snapshots/backup_[0-6][0-9a-hjkmnp-tv-z]{25}"
    r"|place/place_[0-9a-hjkmnp-tv-z]{26}"
)

# They have no directories, and to make one would make a bucket of a name that was mistyped.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"}


class Destination:
    """One workspace's place at an fsspec URL, such as ``/mnt/backups`` or ``s3://bucket/prefix``.

    Raises:
        Unavailable: from any method, when the storage does not answer as it should.
    """

    def __init__(self, url: str, workspace_id: str) -> None:
        self.url = url
        self.workspace_id = workspace_id
        self._filesystem, root = _opened(url)
        self._root = f"{root.rstrip('/')}/{workspace_id}"
        self._local = "file" in _protocols(self._filesystem)
        self._is_bucket = not _OBJECT_STORES.isdisjoint(_protocols(self._filesystem))
        self._bucket_was_there = False

    @classmethod
    def all(cls, url: str) -> list["Destination"]:
        """Open the places of all workspaces that have backups at a URL.

        Raises:
            NotFound: there is none.
        """
        filesystem, root = _opened(url)
        with _errors(url):
            try:
                found = sorted(
                    name.rstrip("/").rpartition("/")[2]
                    for name in filesystem.ls(root, detail=False, refresh=True)
                )
            except FileNotFoundError:
                found = []
        known = [cls(url, name) for name in found if name.startswith("workspace_")]
        if not known:
            raise NotFound(f"{url} holds no backup; make one with: lepton backup create {url}")
        return known

    @classmethod
    def find(cls, url: str, workspace_id: str | None = None) -> "Destination":
        """Open the place of a workspace, which may be left out where there is one only.

        Raises:
            NotFound: there are backups of several workspaces, or of none.
        """
        known = cls.all(url)
        fitting = [place for place in known if workspace_id in (None, place.workspace_id)]
        if len(fitting) == 1:
            return fitting[0]
        names = ", ".join(place.workspace_id for place in known)
        if workspace_id is None:
            raise NotFound(f"{url} holds backups of {names}; say which with --workspace")
        raise NotFound(f"{url} holds no backup of {workspace_id}, but of {names}")

    def lies_in(self, directory: Path) -> bool:
        """Say whether it is a directory inside of another."""
        return self._local and Path(self._root).resolve().is_relative_to(directory.resolve())

    def mark(self) -> str:
        """Return the id that tells one disk from another; nothing where none was put there."""
        return min(self.sizes("place"), default="")

    def set_mark(self) -> str:
        """Put an id there, and return it."""
        mark = new_id("place")
        self.write(f"place/{mark}", [b""])
        return mark

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the names in a folder, which the pattern of ours fits, and their sizes."""
        with _errors(self.url):
            try:
                entries = self._filesystem.ls(f"{self._root}/{folder}", detail=True, refresh=True)
            except FileNotFoundError:
                return {}
        names = {entry["name"].rpartition("/")[2]: entry["size"] for entry in entries}
        return {name: size for name, size in names.items() if _NAME.fullmatch(f"{folder}/{name}")}

    def check(self, folder: str, wanted: Mapping[str, int]) -> None:
        """Make sure that what was written is there: a proxy may say yes in the storage's place.

        Raises:
            Unavailable: a file is not there, or of another size.
        """
        present = self.sizes(folder)
        for name, size in wanted.items():
            if present.get(name) != size:
                raise Unavailable(
                    f"{self.url} should hold {folder}/{name} now, but shows {present.get(name, 0)} "
                    f"of its {size} bytes, so there is no backup; check what answers at its address"
                )

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a file, which is seen under its name once it is whole; return its size."""
        path = self._path(name)
        with _errors(self.url), disk_errors(self.url):
            self._prepare(path)
            return self._upload(path, chunks) if self._is_bucket else self._draft(path, chunks)

    def _upload(self, path: str, chunks: Iterable[bytes]) -> int:
        """Write an object, which appears when its file is closed."""
        size = 0
        with self._filesystem.open(path, "wb") as file:
            try:
                for chunk in chunks:
                    size += file.write(chunk)
            except BaseException:
                # Left to itself, closing would show the half that was written.
                file.discard()
                file.closed = True
                raise
        return size

    def _draft(self, path: str, chunks: Iterable[bytes]) -> int:
        """Write a file under another name, then give it its own."""
        draft, size = f"{path}.partial", 0
        try:
            with self._filesystem.open(draft, "wb") as file:
                for chunk in chunks:
                    size += file.write(chunk)
                if self._local:
                    file.flush()
                    os.fsync(file.fileno())
            if self._local:
                Path(draft).replace(path)
                sync_directory(Path(path).parent)
            else:
                self._filesystem.mv(draft, path)
        except BaseException:
            with suppress(Exception):
                self._filesystem.rm_file(draft)
            raise
        return size

    def _prepare(self, path: str) -> None:
        """Make the folder of a file; a bucket has to be there."""
        if not self._is_bucket:
            folder = path.rpartition("/")[0]
            try:
                self._filesystem.makedirs(folder, exist_ok=True)
            except FileNotFoundError as error:
                raise Unavailable(f"{self.url}: the folder {folder} cannot be made") from error
            return
        bucket = path.partition("/")[0]
        self._bucket_was_there = self._bucket_was_there or self._filesystem.exists(bucket)
        if not self._bucket_was_there:
            raise Unavailable(f"{self.url}: there is no bucket {bucket!r}; make it first")

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return a range of a file, shorter where it ends.

        Raises:
            NotFound: there is no such file.
        """
        with _errors(self.url):
            try:
                with self._filesystem.open(self._path(name), "rb", cache_type="none") as file:
                    file.seek(offset)
                    data: bytes = file.read(size)
                    return data
            except FileNotFoundError as error:
                raise NotFound(f"{self.url} lacks {name}; the backup is not whole") from error

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        with _errors(self.url):
            if self._filesystem.exists(self._path(name)):
                self._filesystem.rm_file(self._path(name))

    def leftovers(self) -> Iterator[str]:
        """Remove what an interrupted backup left half written, and yield the names."""
        if self._is_bucket:
            yield from self._uploads()
            return
        with _errors(self.url):
            for path in self._filesystem.glob(f"{self._root}/*/*.partial"):
                self._filesystem.rm_file(path)
                yield path.rpartition("/")[2]

    def _uploads(self) -> Iterator[str]:
        """Give up the uploads that were begun, which S3 keeps without showing them."""
        bucket, _, prefix = self._root.partition("/")
        # Whoever may not list them leaves them to the rules of the bucket.
        with suppress(OSError, AttributeError):
            for upload in self._filesystem.list_multipart_uploads(bucket):
                if upload["Key"].startswith(f"{prefix}/"):
                    self._filesystem.abort_mpu(bucket, upload["Key"], upload["UploadId"])
                    yield upload["Key"].rpartition("/")[2]

    def _path(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise Corrupt(f"the backup names a file {name!r} that no backup of ours has")
        return f"{self._root}/{name}"


def _opened(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    if holds_password(url):
        raise InvalidInput(
            "the URL of a backup destination holds a password, which would be recorded and shown; "
            "give it as a setting of fsspec, such as FSSPEC_SFTP_PASSWORD"
        )
    with _errors(url):
        filesystem, root = fsspec.url_to_fs(url)
        return filesystem, root


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


@contextmanager
def _errors(url: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, LeptonError, TypeError, AssertionError):
        raise
    except ImportError as error:
        raise Unavailable(f"{url} needs a library: {error}; pip install 'lepton-ai[s3]'") from error
    except Exception as error:  # every storage has its own errors
        raise Unavailable(
            f"the backup destination {url} does not answer as it should: "
            f"{type(error).__name__}: {' '.join(str(error).split())}; check the URL, "
            "the disk and the credentials"
        ) from error
