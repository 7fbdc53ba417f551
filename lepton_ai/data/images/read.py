"""read_images: a folder of images to a named, versioned image set in the workspace."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from msgspec import structs

from lepton_ai.compute.local import shared_threads
from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.progress import track
from lepton_ai.data.folder import File, Scan, name_of, scan
from lepton_ai.data.images.assemble import Assembled, Group, assemble
from lepton_ai.data.images.dicomdir import check_references, resolve
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import Rejected
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.labels import dicom_tag
from lepton_ai.data.images.load import Loaded, load
from lepton_ai.data.images.manifest import Manifest
from lepton_ai.data.returning import warn_of_erased
from lepton_ai.storage import Node, NodeSpec, Transaction, Workspace, source_spec

__all__ = ["read_images"]

# A task reads so many files, or so many bytes of them.
_BATCH = 16
_BATCH_BYTES = 2**20
# What is read ahead of the writer stays below this, where files are not larger.
_IN_FLIGHT_BYTES = 512 * 2**20
_TABLES = (".csv", ".tsv", ".txt")


def read_images(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    label: str | os.PathLike[str] | None = "auto",
    group: Group = "patient",
    workspace: Workspace | None = None,
) -> ImageSet:
    """Read a folder of images and store them as a version of a named image set.

    Reads DICOM (single and multi-frame, compressed, with or without DICOMDIR), NIfTI, PNG,
    JPEG, TIFF and NumPy files, in the folder and its subfolders; a single file may be given too,
    and a DICOMDIR stands for the files that it lists. DICOM slices of one series become one
    volume, ordered by where they lie in the patient. Files that cannot be read are kept aside,
    with the reason, in ``rejected``; nothing outside the folder is opened.

    Every source file is stored, encrypted, as it is. Reading the same files again gives the same
    version; a changed folder gives the next.

    Args:
        path: the folder.
        name: the name of the set; the folder's, unless given.
        label: where labels come from: ``"folder"`` (class folders), the path of a CSV file (a
            column of files, one of labels), the keyword of a DICOM attribute such as
            ``"BodyPartExamined"``, or None. ``"auto"`` takes ``labels.csv`` in the folder where
            there is one, else labels that come with the images (NumPy), else class folders where
            the folders look like classes.
        group: what must stay together in a split: the ``"patient"`` (where a file names none, its
            study, else the file), ``"study"``, ``"series"``, ``"folder"`` or ``"file"``.
        workspace: where to store it; the default one, unless given.

    Raises:
        NotFound: there is nothing at the path, or no such table of labels.
        InvalidInput: no file is a readable image, or an argument is wrong.
    """
    if group not in get_args(Group):
        raise InvalidInput(f"group is one of {', '.join(get_args(Group))}; got {group!r}")
    workspace = workspace or Workspace.open()
    found = scan(path, workspace.home.resolve())
    start = Path(path).expanduser().resolve()
    kind, table, tag = _label_source(label, found)
    with workspace.transaction() as transaction:
        loaded = _load(found, workspace, transaction, tag)
        if start.is_file():
            loaded = _listed(loaded, found, workspace, transaction, tag)
        good = [file for file in loaded if file.part is not None]
        made = assemble(good, kind, table, group, workspace.settings.max_image_bytes)
        rejected = _rejected(found, loaded, made)
        if not made.entries:
            raise InvalidInput(_nothing(start, rejected, loaded))
        sources = [
            source_spec(workspace.keys, found.root / file.file.path, file.sealed)
            for file in good
            if file.sealed is not None
        ]
        ignored = found.ignored + sum(file.ignored for file in loaded)
        manifest = Manifest(str(found.root), tuple(made.entries), rejected)
        facts = {"labels": made.labels, "rejected": _reasons(rejected), "ignored": ignored}
        node = _store(transaction, name or name_of(start, "images"), manifest, sources, facts)
    warn_of_erased(workspace, [spec.digest for spec in sources])
    return ImageSet.open(workspace, node)


def _label_source(
    label: str | os.PathLike[str] | None, found: Scan
) -> tuple[str | None, Path | None, int | None]:
    """Return the kind of label, the table and the DICOM tag that an argument means."""
    if label is None or label == "folder":
        return (None if label is None else "folder"), None, None
    if label == "auto":
        own = next((file for file in found.files if file.path.lower() == "labels.csv"), None)
        return "auto", Path(own.place) if own else None, None
    text = os.fspath(label)
    if text.lower().endswith(_TABLES) or not isinstance(label, str):
        inside = found.root / text
        return "table", inside if inside.is_file() else Path(text).expanduser(), None
    return "attribute", None, dicom_tag(text)


def _load(
    found: Scan, workspace: Workspace, transaction: Transaction, tag: int | None
) -> list[Loaded]:
    """Load all files in parallel, and hand what they hold to the store as it comes."""
    limit = workspace.settings.max_image_bytes
    engine = shared_threads(workspace.settings.workers)

    def load_batch(batch: Sequence[File]) -> list[Loaded]:
        return [load(file, workspace.objects.seal, limit, tag) for file in batch]

    largest = max((file.size for file in found.files), default=1)
    ahead = _IN_FLIGHT_BYTES // max(largest, _BATCH_BYTES)
    results = engine.map(
        load_batch, _batches(found.files), in_flight=min(4 * engine.workers, max(2, ahead))
    )
    loaded = []
    for file in track(chain.from_iterable(results), "reading images", total=len(found.files)):
        if file.sealed is not None:
            transaction.add(file.sealed)
            # The store has the bytes now; the rest says where.
            file.sealed = structs.replace(file.sealed, body=b"")
        loaded.append(file)
    return loaded


def _batches(files: Iterable[File]) -> Iterator[list[File]]:
    batch: list[File] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.size
        if len(batch) == _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _listed(
    loaded: list[Loaded],
    found: Scan,
    workspace: Workspace,
    transaction: Transaction,
    tag: int | None,
) -> list[Loaded]:
    """Where a single file is given that is a DICOMDIR, load the files that it lists."""
    index = loaded[0]
    if not index.names:
        return loaded
    wanted = set()
    for name in index.names:
        try:
            wanted.add(resolve(index.file.path, name).lower())
        except Unreadable:
            continue  # reported with the other references
    folder = scan(found.root, workspace.home.resolve())
    found.files = [file for file in folder.files if file.path.lower() in wanted]
    found.rejected = [file for file in folder.rejected if file.path.lower() in wanted]
    return [index, *_load(found, workspace, transaction, tag)]


def _rejected(found: Scan, loaded: Sequence[Loaded], made: Assembled) -> tuple[Rejected, ...]:
    rejected = [*found.rejected, *made.rejected]
    present = [file.path for file in found.files] + [file.path for file in found.rejected]
    for file in loaded:
        if file.rejected is not None:
            rejected.append(file.rejected)
        if file.names:
            rejected.extend(check_references(file.file.path, file.names, present))
    return tuple(sorted(rejected, key=lambda one: (one.path, one.reason, one.detail)))


def _nothing(start: Path, rejected: Sequence[Rejected], loaded: Sequence[Loaded]) -> str:
    if not rejected:
        return f"{start} holds no image among {len(loaded)} files; give a folder of images"
    reasons = ", ".join(f"{count} {reason}" for reason, count in _reasons(rejected).items())
    first = rejected[0]
    return (
        f"no file of {start} could be read ({reasons}); "
        f"the first: {first.path}: {first.reason}: {first.detail}"
    )


def _reasons(rejected: Iterable[Rejected]) -> dict[str, int]:
    return dict(Counter(one.reason for one in rejected).most_common())


def _store(
    transaction: Transaction,
    name: str,
    manifest: Manifest,
    sources: Iterable[NodeSpec],
    facts: dict[str, Any],
) -> Node:
    """Write the manifest, the nodes of the source files that images are made of, the dataset's."""
    address = transaction.put(manifest.to_json())
    entries = manifest.entries
    used = {part.address for entry in entries for part in entry.parts}
    nodes = transaction.nodes(spec for spec in sources if spec.digest in used)
    facts |= {
        "format": "images",
        "folder": manifest.folder,
        "images": len(entries),
        "files": len(nodes),
        "classes": dict(Counter(entry.label for entry in entries if entry.label is not None)),
    }
    return transaction.node(
        "dataset",
        name,
        version=True,
        digest=address,
        facts=facts,
        parents=[(node.id, "source") for node in nodes],
        holds=[address, *sorted(used)],
    )
