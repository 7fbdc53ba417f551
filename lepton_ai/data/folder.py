"""The files of a folder, found without ever leaving it, and read without ever waiting on one."""

import os
import re
import stat
from operator import attrgetter
from pathlib import Path, PurePosixPath

from msgspec import Struct

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import Rejected

__all__ = ["File", "Scan", "class_folder", "name_of", "read_file", "scan"]

_SPECIAL = "a pipe, socket or device, which is not opened"
# What file managers and archivers leave behind.
_CLUTTER = frozenset({"__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini"})

# Folders that part a data set, not its classes.
_SIDES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})


class File(Struct, frozen=True, gc=False):
    """A regular file: its path in the folder with ``/``, and where it really lies.

    ``size`` counts bytes; -1 where nobody asked for sizes.
    """

    path: str
    place: str | os.PathLike[str]
    size: int = -1


class Scan(Struct):
    """What a folder holds: files in the order of their paths, and what was kept aside."""

    root: Path
    files: list[File]
    rejected: list[Rejected]
    ignored: int


def scan(path: str | os.PathLike[str], without: Path | None = None, *, sizes: bool = True) -> Scan:
    """List the regular files of a folder and its subfolders, or take a single file.

    Links to files inside the folder are followed, links out of it and links to folders are not.
    Hidden files and the clutter of file managers are ignored.

    Args:
        path: the folder or file.
        without: a folder inside that is left out, as the workspace's own is.
        sizes: look up how large each file is, which takes as long as opening it.

    Raises:
        NotFound: there is nothing at the path.
        InvalidInput: it is neither a folder nor a regular file.
    """
    start = Path(path).expanduser()
    try:
        root = start.resolve(strict=True)
        kind = root.stat().st_mode
    except (OSError, RuntimeError) as error:
        raise NotFound(f"there is no folder {start}; give the path of a folder of files") from error
    if stat.S_ISREG(kind):
        file = File(_shown(root.name), root, root.stat().st_size)
        return Scan(root.parent, [file], [], 0)
    if not stat.S_ISDIR(kind):
        raise InvalidInput(f"{start} is neither a folder nor a file")
    found = Scan(root, [], [], 0)
    # Texts, not paths: of a large folder, making paths would take longer than reading the files.
    left_out = None if without is None else os.fspath(without)
    waiting = [(os.fspath(root), "")]
    while waiting:
        folder, inside = waiting.pop()
        try:
            entries = [*os.scandir(folder)]
        except OSError as error:
            _reject(found, inside.rstrip("/") or ".", "unreadable", error.strerror or str(error))
            continue
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name in _CLUTTER:
                found.ignored += 1
            elif entry.is_file(follow_symlinks=False):
                if sizes:
                    _take(found, entry, inside + name, sizes=True)
                else:
                    found.files.append(File(_shown(inside + name), entry.path))
            elif entry.is_symlink():
                _follow(found, Path(entry.path), inside + name, sizes=sizes)
            elif entry.is_dir(follow_symlinks=False):
                if entry.path != left_out:
                    waiting.append((entry.path, f"{inside}{name}/"))
            else:
                _reject(found, inside + name, "special file", _SPECIAL)
    found.files.sort(key=attrgetter("path"))
    found.rejected.sort(key=attrgetter("path"))
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


def class_folder(path: str) -> str | None:
    """Return the class folder of a file: the first below the root that names no side of a split."""
    folders = PurePosixPath(path).parts[:-1]
    return next((folder for folder in folders if folder.lower() not in _SIDES), None)


def name_of(start: Path, otherwise: str) -> str:
    """Return the name of a dataset that is made of a file or folder: its own, safe to refer to."""
    plain = re.sub(r"[^\w.-]+", "-", start.name.split(".")[0] if start.is_file() else start.name)
    return plain.strip("-.")[:100] or otherwise


def _follow(found: Scan, link: Path, path: str, *, sizes: bool) -> None:
    """Take a link to a file inside the folder."""
    try:
        target = link.resolve(strict=True)
        kind = target.lstat().st_mode
    except (OSError, RuntimeError):
        _reject(found, path, "special file", "a link to nothing")
        return
    if not target.is_relative_to(found.root):
        _reject(found, path, "hostile", "a link out of the folder, which is not followed")
    elif stat.S_ISDIR(kind):
        _reject(found, path, "special file", "a link to a folder, which is not followed")
    elif stat.S_ISREG(kind):
        _take(found, target, path, sizes=sizes)
    else:
        _reject(found, path, "special file", _SPECIAL)


def _take(found: Scan, file: "os.DirEntry[str] | Path", path: str, *, sizes: bool) -> None:
    try:
        size = file.stat(follow_symlinks=False).st_size if sizes else -1
    except OSError as error:
        _reject(found, path, "unreadable", error.strerror or str(error))
        return
    found.files.append(File(_shown(path), os.fspath(file), size))


def _reject(found: Scan, path: str, reason: str, detail: str) -> None:
    found.rejected.append(Rejected(_shown(path), reason, detail))


def _shown(path: str) -> str:
    """Return a path as text, with bytes that are no UTF-8 spelled out."""
    # Most names are ASCII, and are what they are.
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")
