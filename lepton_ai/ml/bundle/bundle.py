"""Bundle: the files of one model, in safe formats only, signed and checked before any use."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from lepton_ai.core.errors import Conflict, Corrupt
from lepton_ai.ml.bundle.description import Description
from lepton_ai.ml.runtimes.runtime import FORMATS
from lepton_ai.security.signing import public_key, sign, statement, verify
from lepton_ai.storage import Node, Transaction, Workspace

__all__ = ["FILES", "Bundle", "seal", "store", "write"]

DESCRIPTION = "model.json"
SIGNATURE = "signature.json"
# The only names a bundle may have: a name never decides where something is written.
FILES = frozenset(
    {DESCRIPTION, "encoding.json", "baseline.json", "explanation.json", "card.md", SIGNATURE}
    | {each.file for each in FORMATS.values()}
)

_PREDICATE = "https://github.com/lepton-ai/lepton-ai/model-bundle/v1"


class _Digest(Struct):
    sha256: str


class _Subject(Struct):
    name: str
    digest: _Digest


class _Statement(Struct, rename={"predicate_type": "predicateType"}):
    subject: list[_Subject]
    predicate_type: str


class Bundle:
    """The stored files of one model node, each checked against the signature when it is read."""

    def __init__(self, workspace: Workspace, node: Node) -> None:
        """Check the signature.

        Raises:
            Corrupt: the signature is wrong, or says nothing of a file.
        """
        self.node = node
        self._objects = workspace.objects
        self._addresses: dict[str, str] = dict(node.facts.get("files", {}))
        if not self._addresses.keys() <= FILES or SIGNATURE not in self._addresses:
            raise Corrupt(f"{node.ref} is no model bundle: its files are {[*self._addresses]}")
        envelope = self._objects.get(self._addresses[SIGNATURE])
        self._signed = _subjects(verify(workspace, envelope))
        unsigned = self._addresses.keys() - self._signed.keys() - {SIGNATURE}
        if unsigned:
            raise Corrupt(f"the signature of {node.ref} does not cover {sorted(unsigned)}")

    @property
    def names(self) -> list[str]:
        """The names of the files, sorted."""
        return sorted(self._addresses)

    def read(self, name: str) -> bytes:
        """Return one file.

        Raises:
            Corrupt: the bundle lacks the file, or its content is not what was signed.
        """
        if name not in self._addresses:
            raise Corrupt(f"the bundle of {self.node.ref} has no {name}; it has {self.names}")
        data = self._objects.get(self._addresses[name])
        if name != SIGNATURE and hashlib.sha256(data).hexdigest() != self._signed[name]:
            raise Corrupt(f"{name} of {self.node.ref} is not the file that was signed")
        return data

    def description(self) -> Description:
        """Return the facts of the model."""
        return Description.from_json(self.read(DESCRIPTION))

    def model(self) -> tuple[str, bytes]:
        """Return the format and the bytes of the form that is served."""
        model_format = self.description().format
        if model_format not in FORMATS:
            raise Corrupt(f"{self.node.ref} is of the unknown format {model_format!r}")
        return model_format, self.read(FORMATS[model_format].file)


def seal(
    workspace: Workspace, description: Description, files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the complete bundle: the files, their description with digests, the signature.

    Args:
        workspace: whose key signs.
        description: of the model; the digests are added to it.
        files: the rest, by name.
    """
    digests = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    described = msgspec.structs.replace(description, files=digests).to_json()
    digests[DESCRIPTION] = hashlib.sha256(described).hexdigest()
    signed = statement(digests, _PREDICATE, {"name": description.name})
    return {**files, DESCRIPTION: described, SIGNATURE: sign(workspace, signed)}


def store(transaction: Transaction, files: Mapping[str, bytes]) -> dict[str, str]:
    """Put a bundle's files into the object store and return their addresses by name."""
    return {name: transaction.put(files[name]) for name in sorted(files)}


def write(workspace: Workspace, node: Node, directory: str | os.PathLike[str]) -> list[Path]:
    """Write a model's bundle into a directory, with the key that its signature is checked by.

    Args:
        workspace: where the model is stored.
        node: of the model.
        directory: a new or empty one.

    Returns:
        The files that were written.

    Raises:
        Conflict: the directory holds something already.
        Corrupt: the stored bundle was altered.
    """
    target = Path(directory)
    bundle = Bundle(workspace, node)
    files = {name: bundle.read(name) for name in bundle.names}
    files["public_key.pem"] = public_key(workspace).encode()
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise Conflict(f"{target} is not empty; give a new directory, so that nothing is mixed")
    return [_written(target / name, data) for name, data in files.items()]


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _subjects(payload: bytes) -> dict[str, str]:
    try:
        said = msgspec.json.decode(payload, type=_Statement)
    except msgspec.DecodeError as error:
        raise Corrupt(f"the signed statement is malformed: {error}") from error
    if said.predicate_type != _PREDICATE:
        raise Corrupt(f"the signature is about {said.predicate_type!r}, not a model bundle")
    return {subject.name: subject.digest.sha256 for subject in said.subject}
