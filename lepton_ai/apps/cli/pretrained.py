"""`lepton models pretrained`: models that come with the package."""

import click
from msgspec import to_builtins
from rich.markdown import Markdown

from lepton_ai.apps.cli.output import as_json, console, print_json, print_rows
from lepton_ai.ml.pretrained.adding import description_of
from lepton_ai.ml.pretrained.adding import pretrained as register
from lepton_ai.ml.pretrained.shelf import shelved

__all__ = ["pretrained"]


@click.group()
def pretrained() -> None:
    """List, show and add the models that come with the package."""


@pretrained.command()
@as_json
def ls(as_json: bool) -> None:
    """List them."""
    rows = [
        {"model": name, "what": one.title, "files": ", ".join(sorted(one.files))}
        if as_json
        else {"model": name, "what": one.title}
        for name, one in shelved().items()
    ]
    print_rows(rows, as_json=as_json, empty="No model comes with this package.")


@pretrained.command()
@click.argument("name")
@as_json
def show(name: str, as_json: bool) -> None:
    """Show what NAME is for, how good it is, what it learned from, and its limits."""
    origin = description_of(name).origin
    assert origin is not None
    if as_json:
        print_json({"model": name, **to_builtins(origin)})
        return
    text = "\n\n".join([f"# {name}", f"{origin.title}.", *origin.sections()])
    output = console()
    if output.is_terminal:
        output.print(Markdown(text))
    else:
        click.echo(text)
    click.echo(f"\nNext: lepton models pretrained add {name}")


@pretrained.command()
@click.argument("name")
@as_json
def add(name: str, as_json: bool) -> None:
    """Register NAME in the workspace, signed by its key; again it is the same version."""
    model = register(name)
    if as_json:
        print_json({"model": model.ref, "id": model.node.id})
        return
    click.echo(f"{model}\n\nNext: lepton models card {model.ref}, or lepton deploy {model.ref}")
