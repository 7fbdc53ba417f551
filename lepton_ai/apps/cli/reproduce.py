"""`lepton reproduce`: train a model again from its lineage, and compare every file."""

import sys

import click

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.ml.registry import get
from lepton_ai.ml.reproducing import reproduce as again

__all__ = ["reproduce"]

# verdict -> exit code; 1 is any other failure, 2 a wrong command line
EXIT_CODES = {"equal": 0, "different": 3, "impossible": 4}

_SHORT = 12


@click.command()
@click.argument("model")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Threads that may grow trees; as many as at the training unless given.",
)
@as_json
def reproduce(model: str, workers: int | None, as_json: bool) -> None:
    """Train MODEL again from exactly what it was trained on, and compare every byte.

    Nothing is registered. Leaves with 0 if every file of the bundle is equal, 3 if bytes differ,
    4 if the model cannot be trained again, because its data or its package is gone.
    """
    found = again(get(model), workers=workers)
    if as_json:
        print_json(found)
        sys.exit(EXIT_CODES[found.verdict])
    rows = [
        {
            "file": file.name,
            "equal": "yes" if file.equal else "no",
            "then": file.then[:_SHORT] or "-",
            "now": file.now[:_SHORT] or "-",
            "differs in": ", ".join(file.fields) or "-",
        }
        for file in found.files
    ]
    if rows:
        print_rows(rows, as_json=False, empty="")
        click.echo()
    for change in found.inputs:
        click.echo(f"Input {change}")
    if found.answers is not None:
        click.echo(f"Answers: {found.answers}")
    click.echo(f"{found.model}: {found.verdict}; {found.reason}")
    sys.exit(EXIT_CODES[found.verdict])
