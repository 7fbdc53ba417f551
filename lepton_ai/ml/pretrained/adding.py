"""Adding: a model of the shelf becomes a registered version, signed by the workspace's own key."""

import hashlib

import msgspec

from lepton_ai.core.errors import Corrupt
from lepton_ai.ml.bundle.description import Description
from lepton_ai.ml.model import Model
from lepton_ai.ml.pretrained.shelf import read
from lepton_ai.ml.registry import register
from lepton_ai.storage import Node, Workspace

__all__ = ["description_of", "pretrained"]

# Sealing writes them anew: the description with digests, and the signature of this workspace.
_DESCRIPTION = "model.json"


def pretrained(name: str, workspace: Workspace | None = None) -> Model:
    """Register a model that comes with the package, and return it.

    It predicts, explains, is evaluated and deployed as any other. Asked for again it is the same
    version. Its lineage begins with a source that names the package's version, the digest of each
    file and the data that it learned from; that data is not part of the package.

    Args:
        name: such as ``chest-xray-pneumonia``; `lepton models pretrained ls` lists them.
        workspace: where to register it; the default one unless given.

    Raises:
        NotFound: no model of that name comes with the package; the message lists them.
        Corrupt: a file of the installed package is not the one that was shipped.
    """
    files = read(name)
    description = _described(name, files)
    place = workspace or Workspace.open()
    source = _source(place, name, description, files)
    others = {file: data for file, data in files.items() if file != _DESCRIPTION}
    return Model(place, register(place, description, others, [(source.id, "training")]))


def description_of(name: str) -> Description:
    """Return the facts of a model of the shelf, its files checked.

    Raises:
        NotFound: no model of that name comes with the package.
        Corrupt: a file is not the one that was shipped.
    """
    return _described(name, read(name))


def _described(name: str, files: dict[str, bytes]) -> Description:
    found = Description.from_json(files[_DESCRIPTION])
    if found.origin is None or found.name != name:
        raise Corrupt(f"the pre-trained model {name} does not say where it is from")
    return found


def _source(place: Workspace, name: str, description: Description, files: dict[str, bytes]) -> Node:
    """Return the node of where the model is from; it stands where the training data would."""
    origin = description.origin
    assert origin is not None
    digests = {file: hashlib.sha256(data).hexdigest() for file, data in sorted(files.items())}
    content = hashlib.sha256(msgspec.json.encode(digests)).hexdigest()
    with place.transaction() as transaction:
        return transaction.node(
            "source",
            name,
            facts={
                "path": f"lepton-ai {origin.package}: pre-trained model {name}",
                "sha256": content,
                "size": sum(map(len, files.values())),
                "files": digests,
                "package": origin.package,
                "data": origin.data,
                "sources": origin.sources,
                "licence": origin.licence,
                "attribution": origin.attribution,
            },
            id=f"source_{place.keys.token(f'pretrained {name} {content}')}",
        )
