"""`lepton models`: the registry."""

from pathlib import Path

import click
from rich.markdown import Markdown

from lepton_ai.apps.cli.output import as_json, console, print_json, print_rows, print_table
from lepton_ai.apps.cli.pretrained import pretrained
from lepton_ai.ml import zoo
from lepton_ai.ml.registry import get, set_alias, touched_by_erasure
from lepton_ai.ml.registry import models as registered
from lepton_ai.storage import Workspace

__all__ = ["models"]


@click.group()
def models() -> None:
    """List, show and export models."""


models.add_command(pretrained)


@models.command()
@click.argument("name", required=False)
@as_json
def ls(name: str | None, as_json: bool) -> None:
    """List the models, or the versions of one."""
    touched = touched_by_erasure(Workspace.open())
    rows = [
        {
            "model": model.name,
            "version": model.version,
            "aliases": list(model.aliases),
            "type": model.node.facts["model_type"],
            "served_as": model.node.facts["format"],
            "trained_on": model.node.facts["dataset"],
            "created": model.node.created_at,
            "state": touched.get(model.node.id, "current"),
        }
        for model in registered(name)
    ]
    print_rows(
        rows,
        as_json=as_json,
        spoken=True,
        empty="No model yet; train one with: lepton train DATASET",
    )


@models.command("zoo")
@as_json
def zoo_(as_json: bool) -> None:
    """List the kinds of model that `lepton train --model` knows."""
    rows = [
        {
            "model": entry.name,
            "for": list(entry.paths),
            "also_called": list(entry.aliases),
            "needs": "" if entry.extra == "all" else f"lepton-ai[{entry.extra}]",
        }
        for entry in zoo.entries().values()
    ]
    print_rows(rows, as_json=as_json, spoken=True, empty="")


@models.command()
@click.argument("model")
@as_json
def show(model: str, as_json: bool) -> None:
    """Show what a model takes and gives, and how it was made."""
    chosen = get(model)
    if as_json:
        print_json({"model": chosen.ref, "id": chosen.node.id, "facts": chosen.description})
        return
    click.echo(f"{chosen}\n")
    if chosen.aliases:
        click.echo(f"aliases: {', '.join(chosen.aliases)}")
    if touched_by_erasure(chosen.workspace).get(chosen.node.id) == "stale":
        click.echo("stale: it learned from a person who was erased since; train it again")
    click.echo(f"id: {chosen.node.id}")
    click.echo(f"takes: {chosen.signature.kind}")
    gives = ", ".join(f"{field.name} {list(field.shape)}" for field in chosen.signature.outputs)
    click.echo(f"does: {chosen.task} ({', '.join(chosen.classes[:20])})")
    click.echo(f"gives: {gives}")
    click.echo(f"files: {', '.join(sorted(chosen.bundle.names))} (signature checked)")
    click.echo(f"\nNext: lepton models card {chosen.ref}, or lepton deploy {chosen.ref}")


@models.command()
@click.argument("model")
def card(model: str) -> None:
    """Print the model card: Markdown in a file or pipe, laid out on a terminal."""
    text = get(model).card()
    output = console()
    if output.is_terminal:
        output.print(Markdown(text))
    else:
        click.echo(text)


@models.command()
@click.argument("model")
@click.option(
    "--plot", type=click.Path(dir_okay=False), help="Draw it into a file: .png, .svg or .pdf."
)
@as_json
def leaderboard(model: str, plot: str | None, as_json: bool) -> None:
    """Show what MODEL was chosen among, and the honest figure of the choice."""
    found = get(model).leaderboard()
    if plot is not None:
        found.plot(plot)
    if as_json:
        print_json(found.to_dict())
        return
    print_table(found)
    for note in found.notes:
        click.echo(f"Note: {note}")


@models.command()
@click.argument("model")
@click.argument("alias")
def alias(model: str, alias: str) -> None:
    """Let ALIAS, such as champion, mean this version of MODEL from now on."""
    chosen = set_alias(model, alias)
    click.echo(f"{chosen.name}@{alias} is version {chosen.version} now.")


@models.command()
@click.argument("model")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def export(model: str, directory: Path) -> None:
    """Write the bundle of MODEL, its signature included, into a new or empty DIRECTORY."""
    for path in get(model).export(directory):
        click.echo(path)
