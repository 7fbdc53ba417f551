"""`lepton data append|upsert|delete`: a table's next version, by rows of a file or a condition."""

import click

from lepton_ai.apps.cli.data_versions import open_table
from lepton_ai.data.read_table import spool_source
from lepton_ai.data.table import Table

__all__ = ["append", "delete", "upsert"]


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
def append(name: str, file: str) -> None:
    """Add the rows of FILE to a table; columns that it lacks are empty."""
    table = open_table(name)
    rows, source = spool_source(file, table.workspace)
    _tell(table.append(rows, sources=[source]))


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--on", "keys", multiple=True, required=True, help="A column of the key; repeat.")
def upsert(name: str, file: str, keys: tuple[str, ...]) -> None:
    """Replace the rows whose key comes again in FILE, and add the others."""
    table = open_table(name)
    rows, source = spool_source(file, table.workspace)
    made = table.upsert(rows, on=keys, sources=[source])
    facts = made.dataset.facts
    _tell(made, f"{facts['updated']:,} replaced, {facts['inserted']:,} added, ")


@click.command()
@click.argument("name")
@click.option("--where", required=True, help="Such as \"age < 18 and city = 'Kyiv'\".")
def delete(name: str, where: str) -> None:
    """Remove the rows that meet a condition; older versions keep them until they expire."""
    before = open_table(name)
    after = before.delete(where)
    _tell(after, f"{len(before) - len(after):,} removed, ")


def _tell(made: Table, done: str = "") -> None:
    click.echo(f"{made.ref}: {done}{len(made):,} rows")
