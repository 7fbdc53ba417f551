"""`lepton data append|upsert|delete`: a table's next version, by rows of a file or a condition."""

from pathlib import Path

import click
import polars as pl

from lepton_ai.apps.cli.data_versions import open_table
from lepton_ai.apps.cli.output import as_json, print_json
from lepton_ai.core.words import counted
from lepton_ai.data.read_table import spool_source
from lepton_ai.data.spool import Spool
from lepton_ai.data.table import Table

__all__ = ["append", "delete", "upsert"]

_WRITTEN = frozenset({".csv", ".tsv", ".txt"})


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@as_json
def append(name: str, file: str, as_json: bool) -> None:
    """Add the rows of FILE to a table; columns that it lacks are empty."""
    table = open_table(name)
    rows, source = _rows_for(table, file)
    made = table.append(rows, sources=[source])
    _tell(made, as_json=as_json, kept_out=made.dataset.facts["kept_out"])


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--on", "keys", multiple=True, required=True, help="A column of the key; repeat.")
@as_json
def upsert(name: str, file: str, keys: tuple[str, ...], as_json: bool) -> None:
    """Replace the rows whose key comes again in FILE, and add the others."""
    table = open_table(name)
    rows, source = _rows_for(table, file)
    made = table.upsert(rows, on=keys, sources=[source])
    facts = made.dataset.facts
    done = {"replaced": facts["updated"], "added": facts["inserted"]}
    _tell(made, as_json=as_json, kept_out=facts["kept_out"], **done)


@click.command()
@click.argument("name")
@click.option("--where", required=True, help="Such as \"age < 18 and city = 'Kyiv'\".")
@as_json
def delete(name: str, where: str, as_json: bool) -> None:
    """Remove the rows that meet a condition; older versions keep them until they expire."""
    before = open_table(name)
    after = before.delete(where)
    _tell(after, as_json=as_json, removed=len(before) - len(after))


def _rows_for(table: Table, file: str) -> tuple[Spool, str]:
    """Return the rows of a file, and its source; what is text in the table stays as written."""
    rows, source = spool_source(file, table.workspace)
    text = [
        name
        for name, kind in rows.schema.items()
        if kind != pl.String and table.schema.get(name) == "String"
    ]
    if text and _WRITTEN.intersection(Path(file.lower()).suffixes):
        types = dict.fromkeys(text, "String")
        return spool_source(file, table.workspace, types=types)
    return rows, source


def _tell(made: Table, *, as_json: bool, kept_out: int = 0, **done: int) -> None:
    if as_json:
        aside = {"kept_out": kept_out} if kept_out else {}
        print_json({"dataset": made.ref, **done, "rows": len(made), **aside})
        return
    told = "".join(f"{count:,} {word}, " for word, count in done.items())
    click.echo(f"{made.ref}: {told}{counted(len(made), 'row')}")
    if kept_out:
        click.echo(
            f"{counted(kept_out, 'row')} kept aside, for breaking a rule; see why: "
            f"lepton quality quarantine {made.name}"
        )
