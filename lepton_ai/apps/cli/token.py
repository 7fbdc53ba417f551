"""`lepton token`: the secret that every request to the inference server carries."""

import click

from lepton_ai.security.tokens import rotate_token, workspace_token
from lepton_ai.storage import Workspace

__all__ = ["token"]


@click.command()
@click.option("--rotate", is_flag=True, help="Make a new token; the old one stops working.")
def token(rotate: bool) -> None:
    """Print the token that requests need, made at first use.

    \b
    curl -H "Authorization: Bearer $(lepton token)" http://127.0.0.1:8421/models
    """
    workspace = Workspace.open()
    click.echo(rotate_token(workspace) if rotate else workspace_token(workspace))
