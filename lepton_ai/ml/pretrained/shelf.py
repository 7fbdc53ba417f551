"""The shelf: the files of the models that come with the package, and their digests.

They lie as package data under ``models/NAME``; ``models/table.json`` names each file's SHA-256.
"""

import hashlib
import shutil
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from lepton_ai.core.errors import Corrupt, NotFound
from lepton_ai.ml.bundle.bundle import FILES

__all__ = ["FOLDER", "Shelved", "read", "shelved", "write"]

FOLDER = Path(__file__).with_name("models")
_TABLE = "table.json"


class Shelved(Struct, frozen=True):
    """One model of the shelf.

    Attributes:
        title: what it does, in a line.
        files: SHA-256 of each of its files.
    """

    title: str
    files: dict[str, str]


@cache
def shelved(folder: Path = FOLDER) -> dict[str, Shelved]:
    """Return the models that come with the package, by name.

    Raises:
        Corrupt: the table of the installed package was altered.
    """
    path = folder / _TABLE
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Shelved])
    except msgspec.DecodeError as error:
        raise Corrupt(f"{path} is no table of models: {error}; install lepton-ai anew") from error


def read(name: str, folder: Path = FOLDER) -> dict[str, bytes]:
    """Return the files of one model, each of them proved by its digest.

    Raises:
        NotFound: no model of that name comes with the package.
        Corrupt: a file is missing or is not the one that was shipped.
    """
    known = shelved(folder)
    if name not in known:
        near = get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise NotFound(
            f"no pre-trained model {name!r} comes with the package{hint} There are: "
            f"{', '.join(sorted(known))}"
        )
    return {file: _proved(folder / name / file, digest) for file, digest in
            known[name].files.items()}  # fmt: skip


def write(name: str, title: str, files: Mapping[str, bytes], folder: Path = FOLDER) -> None:
    """Put a model on the shelf in place of the one of that name; for the training scripts."""
    shutil.rmtree(folder / name, ignore_errors=True)
    (folder / name).mkdir(parents=True)
    for file, data in files.items():
        (folder / name / file).write_bytes(data)
    digests = {file: hashlib.sha256(files[file]).hexdigest() for file in sorted(files)}
    table = {**shelved(folder), name: Shelved(title, digests)}
    ordered = {each: table[each] for each in sorted(table)}
    text = msgspec.json.format(msgspec.json.encode(ordered), indent=2)
    (folder / _TABLE).write_bytes(text + b"\n")
    shelved.cache_clear()


def _proved(path: Path, digest: str) -> bytes:
    if path.name not in FILES:
        raise Corrupt(f"{path.name} is no file of a model; install lepton-ai anew")
    if not path.is_file():
        raise Corrupt(f"{path} is missing; install lepton-ai anew")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise Corrupt(f"{path} is not the file that was shipped; install lepton-ai anew")
    return data
