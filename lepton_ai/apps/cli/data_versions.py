"""`lepton data tag|branch|merge|compact|expire|drop`: what is done with a table's versions."""

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json
from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.words import counted
from lepton_ai.data import tables
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["branch", "compact", "drop", "expire", "merge", "open_table", "tag"]


def open_table(ref: str) -> Table:
    """Open a table.

    Raises:
        InvalidInput: it is something else.
    """
    table = open_dataset(ref)
    if not isinstance(table, Table):
        raise InvalidInput(f"{ref} holds images; this is for tables")
    return table


@click.command()
@click.argument("dataset")
@click.argument("tag")
@as_json
def tag(dataset: str, tag: str, as_json: bool) -> None:
    """Let NAME@TAG mean this version from now on; it is then not expired."""
    known = open_dataset(dataset)
    known.tag(tag)
    if as_json:
        print_json({"dataset": known.ref, "tag": tag})
        return
    click.echo(f"{known.name}@{tag} is {known.ref}")


@click.command()
@click.argument("dataset")
@click.argument("branch")
def branch(dataset: str, branch: str) -> None:
    """Start a line of versions of its own, NAME#BRANCH, at this version."""
    made = open_table(dataset).branch(branch)
    click.echo(f"{made.name} begins at {dataset}; open it as '{made.name}'")


@click.command()
@click.argument("branch")
def merge(branch: str) -> None:
    """Make the newest version of NAME#BRANCH the newest of its table."""
    click.echo(f"{open_table(branch).merge().ref}: merged from {branch}")


@click.command()
@click.argument("name")
def compact(name: str) -> None:
    """Write a table's many small files together; rows and their order stay."""
    before = open_table(name)
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
    table = open_table(name)
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
@as_json
def drop(name: str, as_json: bool) -> None:
    """Remove a table with all its versions and rows kept aside; what was made from it stays."""
    workspace = Workspace.open()
    count = tables.drop(workspace, name)
    workspace.objects.collect()
    if as_json:
        print_json({"dataset": name, "files": count})
        return
    click.echo(f"{name}: removed {counted(count, 'file')}")
