"""`lepton deploy`: a model answers at an endpoint."""

import click

from lepton_ai.apps.cli.output import as_json, print_json
from lepton_ai.serving.deployment import deploy_model, undeploy_model

__all__ = ["deploy"]


@click.command()
@click.argument("model")
@click.option("--name", help="Name of the endpoint; that of the model unless given.")
@click.option("--stop", is_flag=True, help="Stop serving the endpoint MODEL instead.")
@as_json
def deploy(model: str, name: str | None, stop: bool, as_json: bool) -> None:
    """Serve MODEL (name, name:3 or name@champion), starting the server when none runs.

    Requests go on being answered by the version that was there before until this one is
    loaded and checked.
    """
    if stop:
        undeploy_model(name or model)
        if as_json:
            print_json({"stopped": name or model})
        else:
            click.echo(f"{name or model} is no longer served.")
        return
    deployment = deploy_model(model, name)
    if as_json:
        print_json({"endpoint": deployment.name, "model": deployment.model, "url": deployment.url})
        return
    click.echo(f"{deployment.model} answers at {deployment.url}")
    images = deployment.signature().kind == "image"
    # Of the content types that curl sends by itself, the server takes the form's alone.
    body = "-F file=@FILE" if images else "-H 'Content-Type: application/json' -d @RECORDS.json"
    click.echo(f"\nNext: lepton predict {deployment.name} FILE, or with curl:")
    click.echo(f'  curl -H "Authorization: Bearer $(lepton token)" {body} {deployment.url}')
