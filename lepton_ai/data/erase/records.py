"""Records: what names a person in the lineage, the catalog, receipts and logs is blackened."""

from pathlib import Path

import msgspec
from msgspec import structs

from lepton_ai.data.entry import Entry, change_entry
from lepton_ai.data.erase.find import Found
from lepton_ai.data.erase.named import rename, strike_names, without_categories
from lepton_ai.data.erase.subject import ERASED, Subject
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.forget import change_nodes, forget_predictions

__all__ = ["blacken"]


def blacken(workspace: Workspace, subject: Subject, found: Found) -> int:
    """Write anew, without what names the person, every record that does; return how many."""
    naming = {node.id: node for node in (*found.holders, *found.naming)}
    current = workspace.lineage.nodes(naming)
    change_nodes(
        workspace, (_without(workspace, node, subject, found) for node in current.values())
    )
    forget_predictions(workspace, found.predictions)
    struck = strike_names(workspace, subject)
    for name in found.described:
        if not subject.named_in(name):
            change_entry(workspace, name, lambda entry: _clean(entry, subject))
    logs = [path for path in found.files if path.suffix == ".log"]
    for path in logs:
        _strike(path, subject)
    return len(naming) + len(found.predictions) + len(found.described) + len(logs) + struck


def _without(workspace: Workspace, node: Node, subject: Subject, found: Found) -> Node:
    node = without_categories(subject, node)
    lost = node.kind != "source" and node.digest in found.objects
    return structs.replace(
        rename(workspace, subject, node),
        facts=subject.redacted(node.facts),
        # A version whose content is gone is not to be found by that content again.
        digest=None if lost else node.digest,
    )


def _clean(entry: Entry, subject: Subject) -> Entry:
    return msgspec.convert(subject.redacted(msgspec.to_builtins(entry)), Entry)


def _strike(path: Path, subject: Subject) -> None:
    """Overwrite the lines of a log that name the person; the server may be writing to it."""
    with path.open("r+b") as file:
        start = 0
        for line in iter(file.readline, b""):
            if subject.named_in_bytes(line):
                file.seek(start)
                file.write(ERASED.encode().ljust(len(line) - 1)[: len(line) - 1])
                file.seek(start + len(line))
            start += len(line)
