"""`lepton init` and `lepton settings`."""

import click
from msgspec import structs

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.settings import Settings, describe, holds_password
from lepton_ai.storage import Workspace

__all__ = ["init", "settings"]


@click.command()
@as_json
def init(as_json: bool) -> None:
    """Create the workspace, or bring an older one up to date.

    Every command does this at first use; `init` only makes it a step of its own.
    """
    workspace = Workspace.open()
    if as_json:
        print_json({"home": str(workspace.home), "database": workspace.database.dialect})
        return
    click.echo(f"Workspace {workspace.home} is ready ({workspace.database.dialect}).")
    click.echo("Next: lepton data import FOLDER, or lepton demo")


@click.command()
@as_json
def settings(as_json: bool) -> None:
    """List every setting, its value and what it means.

    A setting NAME is read from the variable LEPTON_NAME, else from lepton.toml in the
    workspace, else it keeps its default. Keys and passwords are not shown.
    """
    loaded = {name: str(value) for name, value in structs.asdict(Settings.load()).items()}
    hidden = {
        "master_key",
        "database_url",
        *filter(lambda name: holds_password(loaded[name]), loaded),
    }
    rows = [
        {
            "setting": name,
            "value": "(set)" if loaded[name] and name in hidden else loaded[name],
            "meaning": meaning,
        }
        for name, meaning in describe().items()
    ]
    print_rows(rows, as_json=as_json, empty="")
