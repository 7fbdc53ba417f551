"""The catalog: which datasets the workspace holds, and how one is opened again."""

from datetime import datetime

from msgspec import Struct

from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["DatasetInfo", "datasets", "open_dataset"]

# By the format that a dataset's node names: what opens it, and what its items are called there.
_FORMATS: dict[str, tuple[type[ImageSet] | type[Table], str]] = {
    "images": (ImageSet, "images"),
    "table": (Table, "rows"),
}


class DatasetInfo(Struct, frozen=True):
    """One version of a dataset, without its content.

    ``format`` is ``images`` or ``table``; ``count`` is the number of images or rows.
    """

    name: str
    version: int
    format: str
    count: int
    created_at: datetime

    @property
    def ref(self) -> str:
        """``name:version``, which `open_dataset` takes."""
        return f"{self.name}:{self.version}"


def datasets(workspace: Workspace | None = None, name: str | None = None) -> list[DatasetInfo]:
    """Return all datasets of the workspace, the newest last; with ``name``, its versions.

    Args:
        workspace: the default one unless given.
        name: of one dataset.
    """
    nodes = (workspace or Workspace.open()).lineage.list("dataset", name)
    return [
        DatasetInfo(
            node.name,
            node.version or 1,
            node.facts["format"],
            node.facts[_FORMATS[node.facts["format"]][1]],
            node.created_at,
        )
        for node in nodes
    ]


def open_dataset(ref: str, workspace: Workspace | None = None) -> ImageSet | Table:
    """Open a stored dataset, or one side of a split.

    Args:
        ref: a name (its newest version), ``name:3``, ``name@alias`` or a node's id; the side of
            a split is named by its node's id.
        workspace: the default one unless given.

    Raises:
        NotFound: there is none; the message says what there is.
        Corrupt: what is stored was altered.
    """
    place = workspace or Workspace.open()
    node = place.lineage.resolve(ref, ["dataset", "split"])
    whole = node if node.kind == "dataset" else place.lineage.get(node.facts["dataset"])
    opened = _FORMATS[whole.facts["format"]][0].open(place, whole)
    return opened if node.kind == "dataset" else opened.side(node)
