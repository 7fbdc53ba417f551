"""`lepton recipe`: propose, show, edit, save, run, ls."""

from pathlib import Path

import click

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.words import counted
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.recipes import (
    Recipe,
    open_recipe,
    propose_recipe,
    read_recipe,
    run_recipe,
    save_recipe,
    write_recipe,
)
from lepton_ai.storage import Workspace

__all__ = ["recipe"]


@click.group()
def recipe() -> None:
    """Clean and transform tables by recipes, which are proposed, kept and run."""


@recipe.command()
@click.argument("dataset")
@click.option("--target", help="A column that no step touches.")
@click.option("--save", metavar="NAME", help="Keep the proposal under this name.")
@as_json
def propose(dataset: str, target: str | None, save: str | None, as_json: bool) -> None:
    """Propose a recipe for a table, with a reason for each step."""
    proposed = propose_recipe(open_dataset(dataset), target)
    if as_json:
        click.echo(proposed.to_json().decode())
    else:
        click.echo(str(proposed))
    if save:
        node = save_recipe(save, proposed)
        hint = f"lepton recipe run {save} {dataset}"
        if target is not None:
            hint = f"lepton train {dataset} --target {target} --recipe {save}"
        click.echo(f"\nkept as {node.ref}; next: {hint}", err=as_json)


@recipe.command()
@click.argument("name")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw it into this SVG file.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Write it as YAML, which save reads.")
@as_json
def show(name: str, picture: Path | None, as_yaml: bool, as_json: bool) -> None:
    """Show the steps of a recipe, and what they learned."""
    kept = open_recipe(name)
    if picture is not None:
        kept.picture(picture)
    if as_yaml:
        click.echo(write_recipe(kept), nl=False)
    else:
        click.echo(kept.to_json().decode() if as_json else str(kept))


@recipe.command()
@click.argument("name")
def edit(name: str) -> None:
    """Edit a recipe as YAML, in $EDITOR; what is saved there becomes its next version.

    What it learned goes: it is fitted again when it is run.
    """
    kept = open_recipe(name)
    unfitted = Recipe(kept.steps, kept.reasons)
    written = click.edit(write_recipe(unfitted), extension=".yaml")
    if written is None:
        click.echo("nothing was changed")
        return
    try:
        edited = read_recipe(written, fitted=False)
    except InvalidInput as error:
        # What was written is worth more than the wish to have it right at once.
        draft = Path(f"{name.partition(':')[0].partition('@')[0]}.yaml")
        if draft.exists():
            raise
        draft.write_text(written, encoding="utf-8")
        raise InvalidInput(
            f"{error}. It lies in {draft}: lepton recipe save NAME {draft}"
        ) from error
    _save(name.partition(":")[0].partition("@")[0], edited)


@recipe.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
def save(name: str, file: Path) -> None:
    """Keep a recipe that a YAML file holds, as the next version of NAME."""
    _save(name, read_recipe(file))


def _save(name: str, recipe: Recipe) -> None:
    node = save_recipe(name, recipe)
    click.echo(f"{recipe}\n\nkept as {node.ref}")


@recipe.command()
@click.argument("name")
@click.argument("dataset")
@click.option("--name", "result", help="Of the result; DATASET_clean unless given.")
@as_json
def run(name: str, dataset: str, result: str | None, as_json: bool) -> None:
    """Apply a recipe to a table and store the result as a dataset."""
    source = dataset.partition(":")[0].partition("@")[0].partition("#")[0]
    table = run_recipe(name, dataset, result or f"{source}_clean")
    # What was learned, and how many rows each step left, is kept under the result's name.
    kept = open_recipe(table.name)
    if as_json:
        print_json(
            {
                "dataset": table.ref,
                "rows": len(table),
                "columns": table.columns,
                "counts": kept.counts,
            }
        )
    else:
        click.echo(f"{kept}\n")
        click.echo(
            f"{table.ref}: {counted(len(table), 'row')}, {counted(len(table.columns), 'column')}"
        )


@recipe.command()
@as_json
def ls(as_json: bool) -> None:
    """List the recipes."""
    rows = [
        {
            "recipe": node.ref,
            "steps": len(node.facts["steps"]),
            "fitted": node.facts["fitted"],
            "created": node.created_at,
        }
        for node in Workspace.open().lineage.list("recipe")
    ]
    empty = "no recipe yet; get one with: lepton recipe propose DATASET --save NAME"
    print_rows(rows, as_json=as_json, empty=empty)
