"""erase_subject: one person leaves a workspace and its backups, and a signed report says so.

The marks in the lineage come first: an erasure that is interrupted is finished by asking for it
again, and no model that learned from the person is forgotten meanwhile.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa
from msgspec import structs

from lepton_ai.data.erase.backups import recorded_backups, renew_all
from lepton_ai.data.erase.find import Found, find, key_columns, known_columns, look_at_rows
from lepton_ai.data.erase.named import remake
from lepton_ai.data.erase.pictures import remove_images
from lepton_ai.data.erase.records import blacken
from lepton_ai.data.erase.report import ErasureReport, sign_report
from lepton_ai.data.erase.rows import (
    delete_rows,
    empty_version,
    forget_snapshots,
    snapshots_naming,
)
from lepton_ai.data.erase.subject import Subject
from lepton_ai.security.grants import require
from lepton_ai.security.policy import Permission
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.backup import forget
from lepton_ai.storage.forget import forget_objects, sweep
from lepton_ai.storage.schema import aliases

__all__ = ["erase_subject"]


def erase_subject(
    workspace: Workspace,
    identifiers: Iterable[str],
    *,
    columns: Collection[str] = (),
    keep: Collection[str] = (),
    renew_backups: bool = True,
    gone: Collection[str] = (),
) -> tuple[ErasureReport, bytes]:
    """Erase a person from a workspace and from every backup that was made of it.

    Rows leave tables, with every version that held them; images and imported files go; what
    else names the person is blackened; models are marked stale, and removed where they hold
    rows themselves; then all is looked through again. Asked for again after a crash, it goes
    on. The newest backup is made anew and the older ones are removed, as they hold the person.

    Args:
        identifiers: what the person is known under; see `Subject`.
        columns: that hold identifiers, beside those tagged ``subject``.
        keep: datasets that hold no person's rows, though they were made from such, and sets,
            models and imported files of which what cannot be looked into is not theirs; the
            report says so.
        renew_backups: whether to reach the backups; without, the report says that it is not
            complete.
        gone: places of backups of which whoever acts states that what cannot be found there
            exists no more; the report says so.

    Returns:
        The report, and the same signed, as JSON.

    Raises:
        AccessDenied: whoever acts may not administer the workspace.
        InvalidInput: there is no identifier, no table ever had one of the columns, or no backup
            was made to a place that is said to be gone.
    """
    require(Permission.ADMIN, "erase a person")
    recorded_backups(workspace, gone)  # what is wrong is said before anything goes
    subject = Subject(identifiers)
    token = subject.token(workspace.keys)
    started = datetime.now(UTC)
    found = find(workspace, subject, columns=columns, keep=keep)
    earlier = _unfinished(workspace, token)
    _resume(workspace, found, earlier)
    begun = _mark(workspace, token, found, earlier)
    images = {}
    for node in workspace.lineage.nodes(found.images).values():
        if remove_images(workspace, subject, node, found.images[node.id]) is not None:
            images[node.name] = len(found.images[node.id])
    rows, versions = _remove_rows(workspace, subject, found, columns)
    for name in found.named:
        versions += remake(workspace, subject, name)
    look_at_rows(workspace, subject, found)  # the versions that were just made as well
    records = blacken(workspace, subject, found)
    generated = _remove_generated(workspace, found)
    withdrawn = [node for node in found.models if node.id in found.withdrawn]
    _withdraw(workspace, withdrawn)
    held = {address for node in withdrawn for address in workspace.lineage.holds(node.id)}
    objects = forget_objects(workspace, found.objects | held)
    sweep(workspace)
    # A column that was called after the person is no more.
    there = {*columns} & known_columns(workspace)
    left = find(workspace, subject, columns=there, keep=keep, sights=found.sights)
    report = ErasureReport(
        id=begun.id,
        workspace=workspace.id,
        subject=token,
        started_at=started,
        finished_at=datetime.now(UTC),
        rows=subject.redacted(rows),
        versions=tuple(
            sorted(
                {*versions, *(n.ref for n in workspace.lineage.nodes(found.images).values())}
                - {ref for ref in versions if subject.named_in(ref)}
            )
        ),
        emptied=tuple(sorted({subject.without(node.name) for node in found.derived})),
        remade=tuple(sorted(subject.without(name) for name in found.named)),
        images=images,
        sources=len({n.id for n in found.holders if n.kind == "source"}) + generated,
        records=records,
        objects=objects,
        stale_models=tuple(n.ref for n in found.models if n.id not in found.withdrawn),
        withdrawn_models=tuple(node.ref for node in withdrawn),
        kept=tuple(sorted(keep)),
        backups=(),
        left=tuple(subject.without(line) for line in _told(left)),
        not_searched=tuple(subject.without(line) for line in left.unread),
        without_text=subject.redacted(left.bare),
    )
    places = recorded_backups(workspace, gone)
    renewed = renew_all(workspace, places, _clean(earlier), renew=renew_backups)
    report = structs.replace(report, backups=tuple(renewed))
    envelope = sign_report(workspace, report)
    _finish(workspace, begun, earlier, token, report, envelope)
    forget(workspace, [backup for place in renewed for backup in place.gone])
    return report, envelope


def _unfinished(workspace: Workspace, token: str) -> list[Node]:
    """Return the erasures of a person that were begun and interrupted."""
    erasures = workspace.lineage.list("erasure")
    done = {
        parent.id
        for node in erasures
        if node.facts.get("finished")
        for role, parent in workspace.lineage.parents(node.id)
        if role == "begun"
    }
    return [
        node
        for node in erasures
        if node.facts["subject"] == token and not node.facts.get("finished") and node.id not in done
    ]


def _resume(workspace: Workspace, found: Found, earlier: Iterable[Node]) -> None:
    """Add what an interrupted erasure had found, and what may be gone by now."""
    models = {node.id for node in found.models}
    derived = {node.id for node in found.derived}
    for erasure in earlier:
        for role, node in workspace.lineage.parents(erasure.id):
            if role in ("stale", "withdrawn") and node.id not in models:
                found.models.append(node)
                models.add(node.id)
            if role == "withdrawn":
                found.withdrawn.add(node.id)
            if role == "emptied" and node.id not in derived:
                found.derived.append(node)
                derived.add(node.id)


def _mark(workspace: Workspace, token: str, found: Found, earlier: Iterable[Node]) -> Node:
    """Write into the lineage what the erasure is about to touch."""
    groups = {
        "erased": [*found.versions, *workspace.lineage.nodes(found.images).values()],
        "emptied": found.derived,
        "withdrawn": [node for node in found.models if node.id in found.withdrawn],
        "stale": [node for node in found.models if node.id not in found.withdrawn],
        "source": [node for node in found.holders if node.kind == "source"],
    }
    parents = [(node.id, role) for role, group in groups.items() for node in group]
    parents += [(node.id, "resumed") for node in earlier]
    with workspace.transaction() as transaction:
        return transaction.node("erasure", "erasure", facts={"subject": token}, parents=parents)


def _remove_rows(
    workspace: Workspace, subject: Subject, found: Found, columns: Collection[str]
) -> tuple[dict[str, int], list[str]]:
    """Take rows out of tables; return how many from each, and the versions that are gone."""
    rows: dict[str, int] = {}
    gone: list[str] = []
    for traces in found.tables:
        keys = key_columns(workspace, traces.name, columns)
        for line, count in traces.rows.items():
            delete_rows(workspace, line, subject, keys, traces)
            rows[line] = count
        named = snapshots_naming(workspace, traces.name, traces.files)
        gone += forget_snapshots(workspace, traces.name, named)
    for node in found.derived:
        gone += empty_version(workspace, node.name, node.facts["table"], node.facts["snapshot"])
    return rows, sorted(set(gone))


def _remove_generated(workspace: Workspace, found: Found) -> int:
    """Remove the files that the demo wrote for itself; others there are not ours to delete."""
    demo = workspace.home / "demo"
    theirs = [path for path in found.files if path.is_relative_to(demo)]
    for path in theirs:
        path.unlink(missing_ok=True)
    return len(theirs)


def _withdraw(workspace: Workspace, models: Iterable[Node]) -> None:
    """Let no alias mean a model that is about to go."""
    with workspace.database.write() as connection:
        for node in models:
            connection.execute(sa.delete(aliases).where(aliases.c.node_id == node.id))


def _told(left: Found) -> Iterator[str]:
    """Say what still names the person."""
    yield from (f"table {traces.name}: rows came back meanwhile" for traces in left.tables)
    yield from (f"names in the table {name}" for name in left.named)
    yield from (f"image set of {node}" for node in left.images)
    yield from (f"object {address}" for address in sorted(left.objects))
    yield from (f"facts of {node.kind} {node.ref}" for node in left.naming)
    yield from (f"receipt {prediction}" for prediction in left.predictions)
    yield from (f"catalog entry of {name}" for name in left.described)
    yield from (f"file {path}: delete it, then ask again" for path in left.files)


def _clean(earlier: Iterable[Node]) -> set[str]:
    """Return the backups that earlier attempts made when nothing was left of the person."""
    reports = [node.facts["report"] for node in earlier if "report" in node.facts]
    return {
        backup["backup"] for report in reports if not report["left"] for backup in report["backups"]
    }


def _finish(
    workspace: Workspace, begun: Node, earlier: Iterable[Node], token: str, report: ErasureReport,
    envelope: bytes,
) -> None:  # fmt: skip
    """Keep the signed report; an erasure that is not complete stays one that was begun."""
    with workspace.transaction() as transaction:
        address = transaction.put(envelope)
        transaction.node(
            "erasure",
            "report",
            digest=address,
            facts={
                "subject": token,
                "finished": report.complete,
                "report": msgspec.to_builtins(report),
            },
            parents=[(begun.id, "begun"), *((node.id, "begun") for node in earlier)],
            holds=[address],
        )
