"""`lepton data history|tag|describe|compact|expire|drop`: what is done with a table's versions."""

import click
from msgspec import structs, to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import InvalidInput
from lepton_ai.data import tables
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["compact", "describe", "drop", "expire", "history", "tag"]


def _table(ref: str) -> Table:
    table = open_dataset(ref)
    if not isinstance(table, Table):
        raise InvalidInput(f"{ref} holds images; this is for tables")
    return table


@click.command()
@click.argument("name")
@as_json
def history(name: str, as_json: bool) -> None:
    """List a table's versions: what made each, and whether its rows are still there."""
    rows = _table(name).history().to_dicts()
    for row in rows:
        row["tags"] = ", ".join(row["tags"])
    print_rows(rows, as_json=as_json, empty="no versions")


@click.command()
@click.argument("dataset")
@click.argument("tag")
def tag(dataset: str, tag: str) -> None:
    """Let NAME@TAG mean this version from now on; it is then not expired."""
    table = _table(dataset)
    table.tag(tag)
    click.echo(f"{table.name}@{tag} is {table.ref}")


@click.command()
@click.argument("name")
@click.option("--owner", help="Who answers for it.")
@click.option("--text", help="What it is.")
@click.option("--tag", "tags", multiple=True, help="A tag of the dataset; may be repeated.")
@click.option("--column", help="A column to describe.")
@click.option(
    "--column-tag",
    "column_tags",
    multiple=True,
    help="A tag of that column, such as personal; may be repeated.",
)
@as_json
def describe(
    name: str,
    owner: str | None,
    text: str | None,
    tags: tuple[str, ...],
    column: str | None,
    column_tags: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say what a dataset is, and which of its columns are personal; without options, show it."""
    workspace = Workspace.open()
    known = open_dataset(name, workspace)
    if column_tags and column is None:
        raise InvalidInput("say which column: --column name --column-tag personal")
    if column is not None and isinstance(known, Table) and column not in known.columns:
        raise InvalidInput(f"{known.ref} has no column {column!r}, only {known.columns}")

    def change(entry: Entry) -> Entry:
        columns = dict(entry.columns)
        if column is not None:
            before = columns.get(column, ColumnEntry())
            columns[column] = structs.replace(
                before,
                description=before.description if text is None else text,
                tags=tuple(sorted({*before.tags, *column_tags})),
            )
        own = text if column is None else None
        return structs.replace(
            entry,
            owner=entry.owner if owner is None else owner,
            description=entry.description if own is None else own,
            tags=tuple(sorted({*entry.tags, *tags})),
            columns=columns,
        )

    entry = change_entry(workspace, known.name, change)
    if as_json:
        print_json(to_builtins(entry))
        return
    click.echo(f"{known.name}: {entry.description or 'not described'}")
    click.echo(f"owner: {entry.owner or '-'}; tags: {', '.join(entry.tags) or '-'}")
    rows = [
        {"column": word, "tags": ", ".join(said.tags), "description": said.description}
        for word, said in entry.columns.items()
    ]
    if rows:
        print_rows(rows, as_json=False, empty="")


@click.command()
@click.argument("name")
def compact(name: str) -> None:
    """Write a table's many small files together; rows and their order stay."""
    before = _table(name)
    after = before.compact()
    done = "nothing to do" if after.ref == before.ref else "compacted"
    click.echo(f"{after.ref}: {done}")


@click.command()
@click.argument("name")
@click.option("--keep", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--force", is_flag=True, help="Also versions that models were trained on.")
@as_json
def expire(name: str, keep: int, force: bool, as_json: bool) -> None:
    """Remove the rows of old versions; tagged ones, and those in use, stay."""
    table = _table(name)
    done = table.expire(keep=keep, force=force)
    table.workspace.objects.collect()
    if as_json:
        print_json(to_builtins(done))
        return
    click.echo(f"removed {len(done.versions)} versions, {done.files} files, {done.bytes:,} bytes")
    for ref, reason in done.kept.items():
        click.echo(f"kept {ref}: {reason} needs it")


@click.command()
@click.argument("name")
@click.confirmation_option(prompt="All versions' rows will be gone. Go on?")
def drop(name: str) -> None:
    """Remove a table with all its versions; what was made from it stays."""
    workspace = Workspace.open()
    count = tables.drop(workspace, name)
    workspace.objects.collect()
    click.echo(f"{name}: removed {count} files")
