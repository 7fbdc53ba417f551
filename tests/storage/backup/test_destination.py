"""A file at a destination is there whole or not at all, whatever ends its writing."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.client import BaseClient

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.settings import holds_password
from lepton_ai.storage.backup.destination import Destination
from lepton_ai.storage.files import StorageFull

_PIECE = bytes(2**20)


def broken(error: BaseException, pieces: int) -> Iterator[bytes]:
    yield from [_PIECE] * pieces
    raise error


@pytest.fixture(params=["directory", "memory", "s3"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    make: dict[str, Callable[[], str]] = {
        "directory": lambda: str(tmp_path),
        "memory": lambda: f"memory://{tmp_path}",
        "s3": lambda: request.getfixturevalue("client") and f"s3://lepton{tmp_path}",
    }
    return Destination(make[request.param](), "workspace_0")


# A small object is sent at once, a large one in parts of 50 MiB.
@pytest.mark.parametrize("pieces", [0, 1, 60])
@pytest.mark.parametrize("error", [FileNotFoundError("gone"), KeyboardInterrupt()])
def test_half_a_file_is_never_seen(
    destination: Destination, pieces: int, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        destination.write("packs/p", broken(error, pieces))
    assert destination.sizes("packs") == {}
    assert destination.write("packs/p", [_PIECE] * pieces) == pieces * 2**20
    assert destination.sizes("packs") == {"p": pieces * 2**20}
    assert [*destination.leftovers()] == []


def test_a_full_disk_is_not_kept_full(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path), "workspace_0")
    with pytest.raises(StorageFull, match="no room"):
        destination.write("packs/p", broken(OSError(errno.ENOSPC, "No space left on device"), 1))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_unfinished_upload_is_given_up(client: BaseClient) -> None:
    destination = Destination("s3://lepton/unfinished", "workspace_0")
    with pytest.raises(FileNotFoundError):
        destination.write("packs/p", broken(FileNotFoundError("gone"), 60))
    assert "Uploads" not in client.list_multipart_uploads(Bucket="lepton")


def test_other_files_are_not_taken_for_snapshots(tmp_path: Path) -> None:
    folder = tmp_path / "workspace_0" / "snapshots"
    folder.mkdir(parents=True)
    for name in ("README", "backup_", f"backup_{'u' * 26}", f"backup_{'0' * 26}"):
        (folder / name).write_bytes(b"x")
    assert Destination(str(tmp_path), "workspace_0").sizes("snapshots") == {f"backup_{'0' * 26}": 1}


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    for opened in (Destination.all, lambda url: Destination(url, "workspace_0")):
        with pytest.raises(InvalidInput, match="FSSPEC_") as caught:
            opened("sftp://me:hidden@host/backups")
        assert "hidden" not in str(caught.value)


def test_what_a_killed_backup_left_is_removed(tmp_path: Path) -> None:
    place = Destination(f"memory://{tmp_path}", "workspace_0")
    place.write("packs/p", [b"whole"])
    place._filesystem.pipe_file(place._path("packs/q") + ".partial", b"half")
    assert [*place.leftovers()] == ["q.partial"]
    assert [*place.leftovers()] == []
    assert place.sizes("packs") == {"p": 5}


@pytest.mark.parametrize(
    ("url", "held"),
    [
        ("s3://AKIA:ab/cd@bucket/p", True), ("sftp://u:p/w@h/x", True),
        ("zip://a.zip::sftp://u:p@h/a", True), ("s3://bucket/a", False),
        ("postgresql://user@host:5432/name", False), ("/mnt/backups", False),
    ],
)  # fmt: skip
def test_passwords_are_seen_wherever_they_are(url: str, held: bool) -> None:
    assert holds_password(url) is held
