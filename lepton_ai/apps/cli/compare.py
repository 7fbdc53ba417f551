"""`lepton compare`: tell two registered models apart, or say that the rows do not."""

from pathlib import Path

import click

from lepton_ai.apps.cli.evaluate import held_out
from lepton_ai.apps.cli.output import as_json, print_json, print_table
from lepton_ai.data.catalog import open_dataset
from lepton_ai.ml.evaluation.comparing import compare_models
from lepton_ai.ml.registry import get

__all__ = ["compare"]


@click.command()
@click.argument("first")
@click.argument("second")
@click.argument("dataset", required=False)
@click.option("--target", help="Tables: the column of the truth, unless that of the training.")
@click.option("--positive", help="Of two classes, the one to look for.")
@click.option("--groups", help="Tables: the column that says which rows belong together.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file to write the comparison to, as one page of HTML.",
)
@as_json
def compare(
    first: str,
    second: str,
    dataset: str | None,
    target: str | None,
    positive: str | None,
    groups: str | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Compare models FIRST and SECOND on DATASET, or on what was held out from FIRST.

    Each figure of both, the interval of the difference by the paired bootstrap, and named tests.
    """
    one, other = get(first), get(second)
    data = open_dataset(dataset) if dataset else held_out(one)
    found = compare_models(one, other, data, target, positive=positive, groups=groups)
    if report is not None:
        found.report(report)
    if as_json:
        print_json(found.to_dict())
        return
    print_table(found)
    if report is not None:
        click.echo(f"\nReport: {report}")
