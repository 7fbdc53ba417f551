"""The files of a folder, found without ever leaving it, and read without ever waiting on one."""

import os
import stat
from pathlib import Path

from msgspec import Struct

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import Rejected

__all__ = ["File", "Scan", "read_file", "scan"]

# What file managers and archivers leave behind.
_CLUTTER = frozenset({"__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini"})


class File(Struct, frozen=True):
    """A regular file: its path in the folder with ``/``, where it really lies, and its bytes."""

    path: str
    place: Path
    size: int


class Scan(Struct):
    """What a folder holds: files in the order of their paths, and what was kept aside."""

    root: Path
    files: list[File]
    rejected: list[Rejected]
    ignored: int


def scan(path: str | os.PathLike[str], without: Path | None = None) -> Scan:
    """List the regular files of a folder and its subfolders, or take a single file.

    Links to files inside the folder are followed, links out of it and links to folders are not.
    Hidden files and the clutter of file managers are ignored.

    Args:
        path: the folder or file.
        without: a folder inside that is left out, as the workspace's own is.

    Raises:
        NotFound: there is nothing at the path.
        InvalidInput: it is neither a folder nor a regular file.
    """
    start = Path(path).expanduser()
    try:
        root = start.resolve(strict=True)
        kind = root.stat().st_mode
    except (OSError, RuntimeError) as error:
        raise NotFound(
            f"there is no folder {start}; give the path of a folder of images"
        ) from error
    if stat.S_ISREG(kind):
        file = File(_shown(root.name), root, root.stat().st_size)
        return Scan(root.parent, [file], [], 0)
    if not stat.S_ISDIR(kind):
        raise InvalidInput(f"{start} is neither a folder nor a file of images")
    found = Scan(root, [], [], 0)
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            _reject(found, folder, "unreadable", error.strerror or str(error))
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _CLUTTER:
                found.ignored += 1
            elif entry.is_symlink():
                _follow(found, Path(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                if Path(entry.path) != without:
                    waiting.append(Path(entry.path))
            else:
                _take(found, Path(entry.path), Path(entry.path))
    found.files.sort(key=lambda file: file.path)
    found.rejected.sort(key=lambda file: file.path)
    return found


def read_file(file: File, limit: int) -> bytes:
    """Read a whole file that the scan found.

    Raises:
        Unreadable: it is larger than the limit, gone, no longer a regular file, or not permitted.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        number = os.open(file.place, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise Unreadable("unreadable", error.strerror or str(error)) from error
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("special file", "not a regular file any more")
        if status.st_size > limit:
            raise Unreadable("too large", f"the file has {status.st_size} bytes, above {limit}")
        with os.fdopen(number, "rb", closefd=False) as stream:
            return stream.read(status.st_size)
    except OSError as error:
        raise Unreadable("unreadable", error.strerror or str(error)) from error
    finally:
        os.close(number)


def _follow(found: Scan, link: Path) -> None:
    """Take a link to a file inside the folder."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        _reject(found, link, "special file", "a link to nothing")
        return
    if not target.is_relative_to(found.root):
        _reject(found, link, "hostile", "a link out of the folder, which is not followed")
    elif target.is_dir():
        _reject(found, link, "special file", "a link to a folder, which is not followed")
    else:
        _take(found, link, target)


def _take(found: Scan, path: Path, place: Path) -> None:
    try:
        status = place.lstat()
    except OSError as error:
        _reject(found, path, "unreadable", error.strerror or str(error))
        return
    if stat.S_ISREG(status.st_mode):
        relative = _shown(path.relative_to(found.root).as_posix())
        found.files.append(File(relative, place, status.st_size))
    else:
        _reject(found, path, "special file", "a pipe, socket or device, which is not opened")


def _reject(found: Scan, path: Path, reason: str, detail: str) -> None:
    relative = path.relative_to(found.root).as_posix()
    found.rejected.append(Rejected(_shown(relative), reason, detail))


def _shown(path: str) -> str:
    """Return a path as text, with bytes that are no UTF-8 spelled out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
