"""`lepton keys`: the master key that wraps every data key."""

import click

from lepton_ai.apps.cli.output import as_json, print_json
from lepton_ai.storage import Workspace

__all__ = ["keys"]


@click.group()
def keys() -> None:
    """Show and rotate the master key."""


@keys.command()
@as_json
def rotate(as_json: bool) -> None:
    """Make a new master key and wrap every data key with it; no data is rewritten.

    An interrupted rotation loses nothing: run it again and it finishes.
    """
    count = Workspace.open().keys.rotate()
    if as_json:
        print_json({"rewrapped": count})
    else:
        click.echo(f"A new master key is active; {count:,} data keys were wrapped anew.")
