"""`lepton analyse`: what a dataset holds, what goes with what, and what stands out."""

from pathlib import Path

import click

from lepton_ai.apps.cli.output import as_json, print_json
from lepton_ai.data.analysis.reporting import report

__all__ = ["analyse"]


@click.command()
@click.argument("dataset")
@click.option("--target", help="The column that a model is to predict.")
@click.option("--time", help="The column of dates at which a prediction would be made.")
@click.option(
    "--value", help="A column of numbers to take apart over --time: trend, seasons, rest."
)
@click.option("--period", type=int, help="Steps of its season; found unless given.")
@click.option("--rows", type=int, help="The most rows of the profile, drawn at random; else all.")
@click.option("--html", type=click.Path(path_type=Path), help="Write the report as a page.")
@as_json
def analyse(
    dataset: str,
    target: str | None,
    time: str | None,
    value: str | None,
    period: int | None,
    rows: int | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Describe DATASET: columns, correlations, suspects of leakage, groups, unusual rows, rules."""
    found = report(dataset, target, time=time, value=value, period=period, rows=rows)
    if html is not None:
        html.write_text(found.to_html(), encoding="utf-8")
    if as_json:
        print_json(found.to_dict())
    elif html is not None:
        click.echo(f"{found.subject}: {found.sampled}; the report is in {html}")
    else:
        click.echo(str(found))
