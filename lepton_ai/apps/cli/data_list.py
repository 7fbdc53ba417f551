"""`lepton data ls`: the datasets of the workspace."""

import click

from lepton_ai.apps.cli.output import as_json, print_rows
from lepton_ai.data.listing import datasets

__all__ = ["ls"]


@click.command()
@click.argument("name", required=False)
@click.option("--namespace", help="Only of this namespace: what stands before a name's dot.")
@as_json
def ls(name: str | None, namespace: str | None, as_json: bool) -> None:
    """List the datasets, or the versions of one."""
    rows = [
        {
            "dataset": info.name,
            "version": info.version,
            "format": info.format,
            "count": info.count,
            "created": info.created_at,
        }
        for info in datasets(name=name)
        if namespace is None or info.name.startswith(f"{namespace}.")
    ]
    empty = "No dataset yet; bring one in with: lepton data import PATH"
    print_rows(rows, as_json=as_json, empty=empty)
