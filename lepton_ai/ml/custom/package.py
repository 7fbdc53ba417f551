"""Package: the installed code that a custom model is made of, told apart to the byte.

Nothing is imported before the package was found to be the one that a model was trained with: of the
same name and version, with the same bytes in every file.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.runtimes.runtime import Refused

__all__ = ["NotInstalled", "Package", "PackageDiffers", "import_from", "is_path", "package_of"]

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_SHOWN = 12
# What lies in a package's folder and is no part of what was installed.
_LEFT_OUT = "__pycache__"

# Top-level module -> digest of its package when this process imported it: Python keeps the code.
_IMPORTED: dict[str, str] = {}


class NotInstalled(InvalidInput):
    """An import path leads to nothing that was installed as a package."""


class PackageDiffers(Refused):
    """A package is not the one that a model was trained with."""


class Package(Struct, frozen=True):
    """An installed distribution.

    Attributes:
        distribution: its name, as pip knows it.
        version: that its metadata states.
        digest: SHA-256 over the names and contents of its files.
    """

    distribution: str
    version: str
    digest: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (files {self.digest[:_SHOWN]})"


def is_path(text: object) -> bool:
    """Tell whether a text is an import path, ``package.module:name``."""
    return isinstance(text, str) and _PATH.fullmatch(text) is not None


def package_of(path: str) -> Package:
    """Return the installed package that an import path leads to, without importing it.

    Raises:
        NotInstalled: there is none, or a module of that name belongs to no installed package.
    """
    top = _top(path)
    origin = _origin(path)
    for found in _distributions(top):
        if _holds(found, origin):
            return Package(found.name, found.version, _digest(found, top, origin))
    raise NotInstalled(
        f"{origin} belongs to no installed package, so that {path!r} could not be told from "
        "another module of its name later; give it a pyproject.toml and run: pip install -e FOLDER"
    )


def import_from(path: str, package: Package) -> Any:
    """Import what a path names, after its package was found to be this one.

    Raises:
        PackageDiffers: another version is installed, or a file of it changed.
        Refused: it cannot be imported, or holds no such name.
    """
    _check(path, package)
    top = _top(path)
    if _IMPORTED.setdefault(top, package.digest) != package.digest:
        raise PackageDiffers(
            f"{path!r} needs {package}, but this process has imported {top!r} in another state "
            "already; start the process anew (of a server: lepton down, lepton up)"
        )
    module, _, name = path.partition(":")
    try:
        return getattr(import_module(module), name)
    except AttributeError as error:
        raise Refused(f"{package} has no {name!r} in {module!r}: {error}") from error
    except (Exception, SystemExit) as error:
        # Code of others fails in any way, and must not end a server.
        raise Refused(f"{module!r} of {package} cannot be imported: {error!r}") from error


def _check(path: str, package: Package) -> None:
    try:
        found = metadata.distribution(package.distribution)
        top, origin = _top(path), _origin(path)
    except (metadata.PackageNotFoundError, NotInstalled) as error:
        raise PackageDiffers(
            f"the model is made of {path!r} of {package}, which is not installed here; run: "
            f"pip install '{package.distribution}=={package.version}'"
        ) from error
    if found.version != package.version:
        raise PackageDiffers(
            f"the model is made of {path!r} of {package}, but version {found.version} is "
            f"installed; run: pip install '{package.distribution}=={package.version}', or train "
            "the model again with this version"
        )
    digest = _digest(found, top, origin) if _holds(found, origin) else "of another package"
    if digest != package.digest:
        raise PackageDiffers(
            f"the model is made of {path!r} of {package}, but the files of the installed "
            f"{found.version} are {digest[:_SHOWN]}: install those of the training again, or "
            "train the model again with these"
        )


def _top(path: str) -> str:
    if not is_path(path):
        raise NotInstalled(f"{path!r} is no import path, such as my_package.models:Ours")
    return path.partition(":")[0].partition(".")[0]


def _origin(path: str) -> Path:
    """Return the file that Python would import as the top-level module of a path."""
    top = _top(path)
    try:
        spec = find_spec(top)
    except (ImportError, ValueError) as error:
        raise NotInstalled(f"{path!r} cannot be found: {error}") from error
    if spec is None:
        raise NotInstalled(f"there is no module {top!r} for {path!r}; install its package by pip")
    if spec.origin is None or not spec.has_location:
        raise NotInstalled(f"{top!r} of {path!r} is no package with an __init__.py of its own")
    return Path(spec.origin).resolve()


def _distributions(top: str) -> Iterator[metadata.Distribution]:
    """Yield the distributions that may hold a top-level module."""
    for found in metadata.distributions():
        # A search in the text takes a tenth of the time of reading every list of files.
        listed = found.read_text("RECORD") or ""
        if f"{top}/" in listed or f"{top}." in listed or _editable(found) is not None:
            yield found


def _holds(found: metadata.Distribution, origin: Path) -> bool:
    root = _editable(found)
    if root is not None and origin.is_relative_to(root):
        return True
    return any(Path(str(found.locate_file(file))).resolve() == origin for file in _files(found))


def _editable(found: metadata.Distribution) -> Path | None:
    """Return the folder of a package that was installed to be edited (PEP 610)."""
    try:
        said = json.loads(found.read_text("direct_url.json") or "{}")
        editable, url = said.get("dir_info", {}).get("editable"), urlsplit(said.get("url", ""))
    except (ValueError, AttributeError):
        return None
    return Path(unquote(url.path)).resolve() if editable and url.scheme == "file" else None


def _files(found: metadata.Distribution) -> list[metadata.PackagePath]:
    """Return the files that were installed, less what pip wrote beside them."""
    return [
        file
        for file in found.files or ()
        if not {_LEFT_OUT, ".."} & set(file.parts)
        and not file.parts[0].endswith((".dist-info", ".egg-info"))
    ]


def _digest(found: metadata.Distribution, top: str, origin: Path) -> str:
    """Digest the listed files, and all in the module's folder: what was added there counts too."""
    files = {file.as_posix(): Path(str(found.locate_file(file))) for file in _files(found)}
    folder = origin.parent if origin.name.startswith("__init__.") else None
    for path in [origin] if folder is None else folder.rglob("*"):
        inner = path.relative_to(origin.parent)
        if path.is_file() and _LEFT_OUT not in inner.parts:
            files[inner.as_posix() if folder is None else f"{top}/{inner.as_posix()}"] = path
    whole = hashlib.sha256()
    for name, path in sorted(files.items()):
        if path.is_file():
            whole.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()
