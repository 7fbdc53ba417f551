"""`lepton up`, `down`, `status` and `logs`: the inference server's life."""

import click

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import Conflict
from lepton_ai.serving import process
from lepton_ai.storage import Workspace

__all__ = ["down", "logs", "status", "up"]


@click.command()
@as_json
def up(as_json: bool) -> None:
    """Start the inference server, unless it runs, and serve what was deployed before."""
    workspace = Workspace.open()
    found = process.up(workspace)
    wanted = workspace.settings.port
    if wanted and found.url and not found.url.endswith(f":{wanted}"):
        click.echo(
            f"The server is not at port {wanted}: that was taken when it started, or another was "
            "set; LEPTON_PORT sets one.",
            err=True,
        )
    _report(found, as_json=as_json)


@click.command()
@as_json
def down(as_json: bool) -> None:
    """Stop the inference server once it has answered what it has."""
    stopped = process.down(Workspace.open())
    if as_json:
        print_json({"stopped": stopped})
    else:
        click.echo("The server has stopped." if stopped else "No server was running.")


@click.command()
@click.option("--url", is_flag=True, help="Print the server's URL alone, for scripts.")
@as_json
def status(url: bool, as_json: bool) -> None:
    """Show the server, its replicas and its endpoints."""
    found = process.status(Workspace.open())
    if not url:
        _report(found, as_json=as_json)
    elif found.url is None:
        raise Conflict("no server is running; start it with: lepton up")
    else:
        click.echo(found.url)


@click.command()
@click.option("-n", "--lines", default=100, show_default=True, help="How many lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
def logs(lines: int, follow: bool) -> None:
    """Show the end of the server's log."""
    written = False
    for line in process.logs(Workspace.open(), lines=lines, follow=follow):
        written = True
        click.echo(line)
    if not written:
        click.echo("The server has logged nothing yet; start it with: lepton up", err=True)


def _report(found: process.ServerStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    if found.running:
        count = len(found.replicas)
        replicas = f"{count} replica" + ("" if count == 1 else "s")
        click.echo(f"The server runs at {found.url} (process {found.pid}, {replicas}).")
    else:
        click.echo("No server is running; start it with: lepton up")
    click.echo()
    rows = [
        {
            "endpoint": endpoint.name,
            "model": endpoint.model,
            "state": endpoint.state,
            "url": endpoint.url,
            "since": endpoint.updated_at,
            "reason": endpoint.reason,
        }
        for endpoint in found.endpoints
    ]
    columns = ["endpoint", "model", "state", "url", "since"]
    if any(row["reason"] for row in rows):
        columns.append("reason")
    print_rows(
        rows,
        as_json=False,
        columns=columns,
        empty="Nothing is deployed yet; deploy a model with: lepton deploy MODEL",
    )
