"""`lepton access`: who sees columns of which tag."""

from datetime import datetime

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows, when
from lepton_ai.core.errors import NotFound
from lepton_ai.data.listing import datasets
from lepton_ai.security.grants import grant as give
from lepton_ai.security.grants import list_grants
from lepton_ai.security.grants import revoke as take
from lepton_ai.storage import Workspace

__all__ = ["access"]

_scope = click.option("--dataset", "scope", default="*", help="Only of this dataset.")


@click.group()
def access() -> None:
    """Say who sees columns that are tagged, such as personal; others see them masked."""


@access.command()
@click.argument("principal")
@click.argument("tag")
@_scope
@click.option("--until", type=click.DateTime(), help="When it ends by itself.")
@as_json
def grant(principal: str, tag: str, scope: str, until: datetime | None, as_json: bool) -> None:
    """Let PRINCIPAL see columns with TAG."""
    workspace = Workspace.open()
    if scope != "*" and not datasets(workspace, scope):
        raise NotFound(f"there is no dataset {scope!r}; `lepton data ls` lists what there is")
    end = None if until is None else until.astimezone()
    give(workspace, principal, tag, scope, end)
    if as_json:
        print_json({"principal": principal, "tag": tag, "dataset": scope, "until": end})
        return
    ends = "" if end is None else f" until {when(end)}"
    where = "all datasets" if scope == "*" else scope
    click.echo(f"{principal} sees {tag} columns of {where}{ends}")


@access.command()
@click.argument("principal")
@click.argument("tag")
@_scope
def revoke(principal: str, tag: str, scope: str) -> None:
    """Take a grant back."""
    had = take(Workspace.open(), principal, tag, scope)
    click.echo("taken back" if had else f"{principal} had no such grant")


@access.command()
@as_json
def ls(as_json: bool) -> None:
    """List the grants."""
    rows = [to_builtins(given) for given in list_grants(Workspace.open())]
    empty = "no grants; only the owner sees tagged columns"
    print_rows(rows, as_json=as_json, empty=empty)
