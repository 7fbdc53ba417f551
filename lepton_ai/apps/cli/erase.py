"""`lepton erase`: one person leaves the workspace and its backups."""

from pathlib import Path

import click
import sqlalchemy as sa
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, console, print_json
from lepton_ai.core.errors import InvalidInput, LeptonError
from lepton_ai.data.erase import ErasureReport, Found, Subject, erase_subject, find, read_report
from lepton_ai.ml.model import Model
from lepton_ai.ml.retraining import Training
from lepton_ai.serving.deployment import undeploy_model
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.schema import deployments

__all__ = ["erase"]


@click.command()
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    help="What the person is known under, such as a patient's id; may be repeated.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    help="A column that holds identifiers, beside those tagged subject; may be repeated.",
)
@click.option(
    "--keep",
    multiple=True,
    help="A derived dataset without a person's rows, such as sums, or a set, model or imported "
    "file of which what cannot be searched is not theirs: your statement, kept in the report; "
    "may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option("--retrain", is_flag=True, help="Train the models concerned again on what is left.")
@click.option("--no-backups", is_flag=True, help="Leave the backups alone, for now.")
@click.option(
    "--gone",
    multiple=True,
    help="A place whose backups, as far as they are not found there, exist no more: your "
    "statement, kept in the report; may be repeated.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Write the signed report here.")
@click.option("--check", type=click.Path(exists=True, path_type=Path), help="Check such a report.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def erase(
    subjects: tuple[str, ...],
    columns: tuple[str, ...],
    keep: tuple[str, ...],
    dry_run: bool,
    retrain: bool,
    no_backups: bool,
    gone: tuple[str, ...],
    report: Path | None,
    check: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Erase a person: rows, images, files, versions, derived data, models, backups.

    Leaves with 1 when something that names them could not be reached; asked again, it goes on.
    """
    workspace = Workspace.open()
    if check is not None:
        _show(read_report(workspace, check.read_bytes()), as_json=as_json)
        return
    if not subjects:
        raise InvalidInput("say who: lepton erase --subject PATIENT-0042 --dry-run")
    found = find(workspace, Subject(subjects), columns=columns, keep=keep)
    if dry_run:
        if as_json:
            print_json(_plan(workspace, found))
        else:
            _show_plan(workspace, found)
        return
    if not yes:
        _show_plan(workspace, found)
        if not click.confirm("\nThis cannot be undone. Erase?"):
            click.echo("nothing was erased")
            raise click.exceptions.Exit(1)
    again, unable = _trainings(workspace, found.models) if retrain else ([], [])
    for endpoint, node in _served(workspace, found):
        console().print(f"stopping endpoint {endpoint}: {node.ref} holds rows of the person")
        undeploy_model(endpoint, workspace=workspace)
    done, envelope = erase_subject(
        workspace, subjects, columns=columns, keep=keep, renew_backups=not no_backups, gone=gone
    )
    if report is not None:
        report.write_bytes(envelope)
    _show(done, as_json=as_json)
    for training in again:
        try:
            model = training.repeat(workspace)
        except LeptonError as error:
            unable.append(str(error))
        else:
            console().print(f"trained again: {model.ref}")
    for reason in unable:
        click.echo(f"not trained again: {reason}", err=True)
    if not done.complete or unable:
        raise click.exceptions.Exit(1)


def _trainings(workspace: Workspace, nodes: list[Node]) -> tuple[list[Training], list[str]]:
    """Remember how models were trained, before their files are gone; the newest of each name."""
    trainings, unable = [], []
    newest = {node.name: node for node in sorted(nodes, key=lambda node: node.version or 0)}
    for node in newest.values():
        try:
            trainings.append(Training.of(Model(workspace, node)))
        except LeptonError as error:
            unable.append(f"{node.ref}: {error}")
    return trainings, unable


def _served(workspace: Workspace, found: Found) -> list[tuple[str, Node]]:
    """Return the endpoints that serve a model which is about to go."""
    gone = {node.id: node for node in found.models if node.id in found.withdrawn}
    query = sa.select(deployments.c.name, deployments.c.model_id, deployments.c.state)
    with workspace.database.read() as connection:
        rows = connection.execute(query).all()
    return [(r.name, gone[r.model_id]) for r in rows if r.model_id in gone and r.state != "stopped"]


def _plan(workspace: Workspace, found: Found) -> dict[str, object]:
    nodes = workspace.lineage.nodes(found.images)
    return {
        "rows": {line: count for table in found.tables for line, count in table.rows.items()},
        "versions": sorted(node.ref for node in found.versions),
        "emptied": sorted({node.name for node in found.derived}),
        "remade": found.named,
        "images": {nodes[key].ref: len(places) for key, places in found.images.items()},
        "sources": sum(node.kind == "source" for node in found.holders),
        "objects": len(found.objects),
        "records": len(found.naming) + len(found.predictions) + len(found.described),
        "files": [str(path) for path in found.files],
        "not searched": found.unread,
        "without text": found.bare,
        "stale models": [n.ref for n in found.models if n.id not in found.withdrawn],
        "withdrawn models": [n.ref for n in found.models if n.id in found.withdrawn],
    }


_SAID = {
    "rows": "rows to remove, by table",
    "versions": "versions whose rows go",
    "emptied": "derived tables to empty (no column tells the person; --keep NAME where it has "
    "no rows of people)",
    "remade": "tables called after the person, or with columns, tags or branches that are (the "
    "first go, the others are made anew without)",
    "images": "images to remove, by set",
    "sources": "imported files to destroy",
    "objects": "stored contents that name the person",
    "records": "records to blacken",
    "files": "files in the workspace's directory",
    "not searched": "what cannot be searched (look at it yourself; then --keep NAME, as named "
    "first, states that it is not theirs)",
    "without text": "documents with pages that are pictures, which are not searched, by set",
    "stale models": "models that learned from it",
    "withdrawn models": "models that hold rows themselves, and go",
}


def _show_plan(workspace: Workspace, found: Found) -> None:
    plan = _plan(workspace, found)
    if not any(value for key, value in plan.items() if key not in ("not searched", "without text")):
        click.echo(
            "nothing here names this person. A short id is looked for in columns tagged subject "
            "only, and so is a number in a table that has such a column: "
            "lepton data describe TABLE --column COLUMN --column-tag subject; "
            "or name them here: --column COLUMN"
        )
    for key, value in plan.items():
        if value:
            click.echo(f"{_SAID[key]}: {_text(value)}")


def _show(report: ErasureReport, *, as_json: bool) -> None:
    said = to_builtins(report) | {"complete": report.complete}
    if as_json:
        print_json(said)
        return
    for key, value in said.items():
        if value and key not in ("left", "not_searched", "backups", "complete"):
            click.echo(f"{key.replace('_', ' ')}: {_text(value)}")
    for backup in report.backups:
        what = [backup.error]
        if backup.backup:
            what.append(f"renewed as {backup.backup}, {len(backup.removed)} older removed")
        if backup.gone:
            what.append(f"{backup.said_by} said that {', '.join(backup.gone)} exist no more")
        click.echo(f"backups at {backup.url}: {'; '.join(filter(None, what))}")
    for left in report.left:
        click.echo(f"LEFT: {left}")
    for unread in report.not_searched:
        click.echo(f"NOT SEARCHED: {unread}")
    if report.not_searched:
        click.echo(
            "look at these yourself and delete what is theirs; then --keep NAME, with the set, "
            "model or imported file that is named first, states that the rest of it is not"
        )
    if report.complete:
        click.echo("complete: nothing here or in a backup names the person any more")
    else:
        click.echo("NOT complete: ask again once what is named above is mended")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
