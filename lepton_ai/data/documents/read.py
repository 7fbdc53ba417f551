"""import_documents: a folder of any files becomes a named, versioned set of documents."""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.documents.documentset import COLUMNS, DocumentSet
from lepton_ai.data.documents.load import Loaded, load
from lepton_ai.data.documents.media import media_types
from lepton_ai.data.folder import Scan, class_folder, name_of, scan
from lepton_ai.data.images.image import Rejected
from lepton_ai.data.tables.columns import adapt, iceberg_schema
from lepton_ai.data.tables.commit import Change, TableCommit
from lepton_ai.data.tables.entering import admitted
from lepton_ai.data.tables.heads import repeated
from lepton_ai.data.tables.scan import data_files
from lepton_ai.storage import Node, Workspace, folder_spec

__all__ = ["import_documents"]


def import_documents(
    source: str | os.PathLike[str],
    *,
    name: str | None = None,
    label: Literal["folder"] | None = None,
    workspace: Workspace | None = None,
) -> DocumentSet:
    """Store the files of a folder, whatever they are, as a version of a named set of documents.

    Every file is stored, encrypted, byte by byte as it is; files of equal content are stored
    once. Files that cannot be read are kept aside, with the reason, in ``rejected``; nothing
    outside the folder is opened, and hidden files and the clutter of file managers are left out.
    Importing the same files again gives the same version; a changed folder gives the next.

    Args:
        source: the folder, one file, or a pattern such as ``letters/**/*.txt``.
        name: the name of the set; the folder's, unless given.
        label: ``"folder"`` labels each file with its class folder, the first one below the
            folder that is not the side of a split such as ``train``.
        workspace: where to store it; the default one, unless given.

    Raises:
        NotFound: there is nothing at the path.
        InvalidInput: there is no file that can be read, or the name is one of a plain table.
    """
    if label not in (None, "folder"):
        raise InvalidInput(f"label is 'folder' or None; got {label!r}")
    place = workspace or Workspace.open()
    start, found = _find(Path(source).expanduser(), place)
    called = name or name_of(start, "documents")
    return DocumentSet(place, _store(place, called, found, labelled=label is not None))


def _find(source: Path, workspace: Workspace) -> tuple[Path, Scan]:
    """Return the folder or file that is meant, and the files of it that are."""
    without = workspace.home.resolve()
    if source.exists() or not glob.has_magic(str(source)):
        return source.resolve(), scan(source, without, sizes=False)
    parts = source.parts
    fixed = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    folder = Path(*parts[:fixed])
    found = scan(folder, without, sizes=False)
    pattern = str(Path(*parts[fixed:]))
    # `Path.glob` gives paths, whose making takes longer than reading small files.
    wanted = set(glob.glob(pattern, root_dir=found.root, recursive=True))  # noqa: PTH207
    found.files = [file for file in found.files if file.path in wanted]
    found.rejected = [file for file in found.rejected if file.path in wanted]
    return found.root, found


@repeated
def _store(workspace: Workspace, name: str, found: Scan, *, labelled: bool) -> Node:
    try:
        with TableCommit(workspace, name) as commit:
            return _commit(commit, found, labelled=labelled)
    except _Unchanged as unchanged:
        return unchanged.node


def _commit(commit: TableCommit, found: Scan, *, labelled: bool) -> Node:
    if commit.table is None:
        commit.begin(iceberg_schema(COLUMNS), encrypted=True, format="documents")
    elif commit.format != "documents":
        raise InvalidInput(f"{commit.name!r} is a table; choose another name for the documents")
    else:
        adapt(commit, iceberg_schema(COLUMNS))
    transaction = commit.transaction
    loaded = load(found.files, transaction)
    rejected = sorted([*found.rejected, *loaded.rejected], key=lambda one: one.path)
    if not loaded.paths:
        raise InvalidInput(_nothing(found, rejected))
    whole = _frame(loaded, labelled=labelled)
    digest = commit.workspace.keys.token(f"documents {commit.name} {_content(whole, rejected)}")
    versions = commit.workspace.lineage.list("dataset", commit.name)
    table = commit.table
    for node in versions:
        present = table is not None and table.snapshot_by_id(node.facts.get("snapshot", 0))
        if node.digest == digest and present:
            raise _Unchanged(node)
    frame = pl.concat([*admitted(commit, [whole], stays=None)])
    added = commit.write([frame])
    holds = frame["object"].unique().sort().to_list()
    facts: dict[str, Any] = {
        "folder": str(found.root),
        "stored": int(frame["bytes"].sum()),
        "classes": dict(Counter(frame["label"].drop_nulls().to_list())),
        "rejected": dict(Counter(one.reason for one in rejected).most_common()),
        "ignored": found.ignored,
    }
    if rejected:
        facts["aside"] = transaction.put(msgspec.json.encode(rejected))
        holds.append(facts["aside"])
    origin = folder_spec(
        commit.workspace.keys, found.root, digest, files=frame.height, size=facts["stored"]
    )
    (folder,) = transaction.nodes([origin])
    previous = [(node.id, "previous") for node in versions[-1:]]
    change = Change(
        "import",
        COLUMNS,
        added=added,
        removed=[] if table is None else data_files(table, commit.branch),
        parents=[(folder.id, "source"), *previous],
        facts=facts,
        # A version whose rows are gone does not stand for them any more.
        digest=None if any(node.digest == digest for node in versions) else digest,
        holds=holds,
    )
    return commit.publish(change, based_on="rows")


class _Unchanged(Exception):
    """The content is there already: undo what was written, and return the version that has it."""

    def __init__(self, node: Node) -> None:
        self.node = node


def _frame(loaded: Loaded, *, labelled: bool) -> pl.DataFrame:
    """Return a row for each file that was stored."""
    columns = {
        "path": loaded.paths,
        "bytes": loaded.sizes,
        "media_type": media_types(loaded.paths, loaded.heads),
        "modified": pl.Series(loaded.modified, dtype=pl.Int64) // 1000,
        "label": [class_folder(path) for path in loaded.paths] if labelled else None,
        "sha256": loaded.digests,
        "object": loaded.addresses,
    }
    # An integer of microseconds is what a time is inside.
    frame = pl.DataFrame(columns, schema={**COLUMNS, "modified": pl.Int64})
    return frame.with_columns(pl.col("modified").cast(COLUMNS["modified"]))


def _content(frame: pl.DataFrame, rejected: Sequence[Rejected]) -> str:
    """Return a digest of what makes a version: paths, labels and content, not when and where."""
    said = [frame[name].to_list() for name in ("path", "label", "object")]
    return hashlib.sha256(msgspec.json.encode([*said, rejected])).hexdigest()


def _nothing(found: Scan, rejected: Sequence[Rejected]) -> str:
    if not rejected:
        return f"{found.root} holds no file; give a folder of documents"
    first = rejected[0]
    return (
        f"none of the {len(rejected)} files of {found.root} could be read; "
        f"the first: {first.path}: {first.reason}: {first.detail}"
    )
