"""Listing: which datasets the workspace holds, without an import of what reads them."""

from datetime import datetime

from msgspec import Struct

from lepton_ai.storage import Workspace

__all__ = ["DatasetInfo", "datasets"]

# What the items of a dataset are called in its node, by format.
_COUNTS = {"images": "images", "table": "rows", "documents": "rows"}


class DatasetInfo(Struct, frozen=True):
    """One version of a dataset, without its content.

    ``format`` is ``images``, ``table`` or ``documents``; ``count`` is the number of images, rows
    or documents.
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
            node.facts[_COUNTS[node.facts["format"]]],
            node.created_at,
        )
        for node in nodes
    ]
