"""`lepton evaluate`: measure a registered model."""

from pathlib import Path
from typing import Any

import click

from lepton_ai.apps.cli.output import as_json, print_json, print_table
from lepton_ai.data.catalog import open_dataset
from lepton_ai.ml.evaluation.evaluating import evaluate as measure
from lepton_ai.ml.model import Model
from lepton_ai.ml.registry import get

__all__ = ["evaluate", "held_out"]


@click.command()
@click.argument("model")
@click.argument("dataset", required=False)
@click.option("--target", help="Tables: the column of the labels, unless that of the training.")
@click.option("--positive", help="Of two classes, the one to look for.")
@click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder to write each plot of the task to, as PNG.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file to write figures, tables and plots to, as one page of HTML.",
)
@click.option("--by", multiple=True, help="Tables: a column whose values are measured apart.")
@click.option("--groups", help="Tables: the column that says which rows belong together.")
@click.option("--time", help="Tables: the column of the order of rows.")
@click.option(
    "--limit", type=float, help="Remaining life: the predicted life at which an alarm is raised."
)
@click.option(
    "--season", type=int, help="Forecasts: steps of a season of the naive one; a day unless given."
)
@as_json
def evaluate(
    model: str,
    dataset: str | None,
    target: str | None,
    positive: str | None,
    plots: Path | None,
    report: Path | None,
    by: tuple[str, ...],
    groups: str | None,
    time: str | None,
    limit: float | None,
    season: int | None,
    as_json: bool,
) -> None:
    """Measure MODEL on DATASET, or on what was held out when it was trained.

    MODEL is a name, name:3 or name@champion. The figures are those of the served form.
    """
    chosen = get(model)
    data = open_dataset(dataset) if dataset else held_out(chosen)
    evaluation = measure(
        chosen,
        data,
        target,
        positive=positive,
        slices=by,
        groups=groups,
        time=time,
        limit=limit,
        season=season,
    )
    drawn = [] if plots is None else evaluation.save_plots(plots)
    if report is not None:
        evaluation.report(report)
    if as_json:
        print_json(evaluation.to_dict())
        return
    print_table(evaluation)
    if drawn:
        click.echo(f"\nPlots: {', '.join(map(str, drawn))}")
    if report is not None:
        click.echo(f"\nReport: {report}")


def held_out(model: Model) -> Any:
    """Return the rows that were held out when a model was trained.

    Raises:
        UsageError: none were.
    """
    lineage = model.workspace.lineage
    run = next(node for role, node in lineage.parents(model.node.id) if role == "run")
    for role, node in lineage.parents(run.id):
        if role == "held-out":
            return open_dataset(node.id, model.workspace)
    raise click.UsageError(
        f"nothing was held out when {model.ref} was trained; name a dataset: "
        f"lepton evaluate {model.ref} DATASET"
    )
