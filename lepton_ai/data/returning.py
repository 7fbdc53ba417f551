"""Returning: a file that an erasure destroyed comes again, and whoever was erased with it.

Nothing of an erased person is kept; of the files that named them, their keyed address is.
"""

import warnings
from collections.abc import Iterable

from lepton_ai.storage import Workspace

__all__ = ["ErasedFile", "warn_of_erased"]


class ErasedFile(UserWarning):
    """A file is imported whose content was erased with a person."""


def warn_of_erased(workspace: Workspace, addresses: Iterable[str | None]) -> None:
    """Warn (`ErasedFile`) where files are kept of which an erasure destroyed the content."""
    lineage = workspace.lineage
    erased = {
        source.digest
        for node in lineage.list("erasure")
        for role, source in lineage.parents(node.id)
        if role == "source" and source.digest is not None
    }
    count = len(erased.intersection(addresses))
    if count:
        warnings.warn(
            f"{count} of these files were erased with a person, who comes back by them; erase "
            "them again, and take them out of the files: lepton erase --subject ...",
            ErasedFile,
            stacklevel=3,
        )
