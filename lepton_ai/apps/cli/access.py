"""`lepton access`: who sees columns of which tag."""

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_rows
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
def grant(principal: str, tag: str, scope: str) -> None:
    """Let PRINCIPAL see columns with TAG."""
    give(Workspace.open(), principal, tag, scope)
    click.echo(f"{principal} sees {tag} columns of {'all datasets' if scope == '*' else scope}")


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
