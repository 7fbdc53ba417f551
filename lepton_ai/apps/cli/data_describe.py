"""`lepton data describe`: what people say of a dataset and its columns."""

from collections.abc import Iterable

import click
from msgspec import structs, to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.access import IMAGE_COLUMNS
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry, get_entry
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["describe"]


@click.command()
@click.argument("name")
@click.option("--owner", help="Who answers for it.")
@click.option("--text", help="What it is, or what --column is.")
@click.option("--tag", "tags", multiple=True, help="A tag of the dataset; may be repeated.")
@click.option("--untag", multiple=True, help="A tag to take away; may be repeated.")
@click.option("--column", help="A column to describe.")
@click.option("--unit", help="What that column is measured in.")
@click.option(
    "--column-tag",
    "column_tags",
    multiple=True,
    help="A tag of that column, such as personal; may be repeated.",
)
@click.option("--column-untag", multiple=True, help="A tag to take from it; may be repeated.")
@as_json
def describe(
    name: str,
    owner: str | None,
    text: str | None,
    tags: tuple[str, ...],
    untag: tuple[str, ...],
    column: str | None,
    unit: str | None,
    column_tags: tuple[str, ...],
    column_untag: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say what a dataset is, and which of its columns are personal; without options, show it."""
    workspace = Workspace.open()
    known = open_dataset(name, workspace)
    main = known.name.partition("#")[0]
    if column is None and (column_tags or column_untag or unit is not None):
        raise InvalidInput("say which column: --column name --column-tag personal")
    if column is not None:
        _check(known, column)

    def change(entry: Entry) -> Entry:
        if column is not None:
            before = entry.columns.get(column, ColumnEntry())
            after = structs.replace(
                before,
                description=before.description if text is None else text,
                unit=before.unit if unit is None else unit,
                tags=_tags(before.tags, column_tags, column_untag),
            )
            entry = structs.replace(entry, columns={**entry.columns, column: after})
        elif text is not None:
            entry = structs.replace(entry, description=text)
        return structs.replace(
            entry,
            owner=entry.owner if owner is None else owner,
            tags=_tags(entry.tags, tags, untag),
        )

    asked = (owner, text, column, *tags, *untag)
    changed = any(word is not None for word in asked)
    entry = change_entry(workspace, main, change) if changed else get_entry(workspace, main)
    if as_json:
        print_json(to_builtins(entry))
        return
    click.echo(f"{main}: {entry.description or 'not described'}")
    click.echo(f"owner: {entry.owner or '-'}; tags: {', '.join(entry.tags) or '-'}")
    rows = [
        {
            "column": word,
            "unit": said.unit or None,
            "tags": ", ".join(said.tags) or None,
            "description": said.description or None,
        }
        for word, said in entry.columns.items()
    ]
    if rows:
        print_rows(rows, as_json=False, empty="")


def _check(known: ImageSet | Table, column: str) -> None:
    """Make sure that a tag would not protect a column that is not there.

    Raises:
        InvalidInput: it is not.
    """
    if isinstance(known, Table):
        columns: Iterable[str] = known.columns
    else:
        own = dict.fromkeys(key for entry in known.entries for key in entry.meta.attributes)
        columns = [*IMAGE_COLUMNS, *own]
    if column not in columns:
        raise InvalidInput(f"{known.ref} has no column {column!r}, only {[*columns]}")


def _tags(before: Iterable[str], added: Iterable[str], removed: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*before, *added} - {*removed}))
