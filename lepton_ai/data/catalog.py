"""The catalog: which datasets the workspace holds, and how one is opened again."""

from lepton_ai.data.documents.documentset import DocumentSet
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.listing import DatasetInfo, Listed, catalog, datasets
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["DatasetInfo", "Listed", "catalog", "datasets", "open_dataset"]

# By the format that a dataset's node names: what opens it.
_FORMATS: dict[str, type[ImageSet] | type[Table]] = {
    "images": ImageSet,
    "table": Table,
    "documents": DocumentSet,
}


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
    opened = _FORMATS[whole.facts["format"]].open(place, whole)
    return opened if node.kind == "dataset" else opened.side(node)
