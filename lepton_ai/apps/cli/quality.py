"""`lepton quality`: check, set, show, history, quarantine, readmit."""

from pathlib import Path

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.quality import (
    check_history,
    check_table,
    quarantine,
    read_rules,
    readmit,
    rules_of,
    set_rules,
    write_rules,
)
from lepton_ai.data.read_table import read_frame
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["quality"]

_SHOWN = 20


@click.group()
def quality() -> None:
    """Check tables against rules, and keep out what breaks them."""


@quality.command()
@click.argument("dataset")
@click.option("--rules", type=click.Path(path_type=Path), help="A YAML file; the table's own else.")
@click.option("--html", type=click.Path(path_type=Path), help="Write the report as a page.")
@as_json
def check(dataset: str, rules: Path | None, html: Path | None, as_json: bool) -> None:
    """Measure a table against rules; leaves with 1 when one of severity error fails."""
    table = open_dataset(dataset)
    if not isinstance(table, Table):
        raise InvalidInput(f"{dataset} holds no table; rules are for tables")
    chosen = rules_of(table.workspace, table.name) if rules is None else read_rules(rules)
    if not chosen:
        raise InvalidInput(f"{table.name} has no rules; give some: --rules rules.yaml")
    report = check_table(table, chosen)
    if html is not None:
        html.write_text(report.to_html(), encoding="utf-8")
    if as_json:
        print_json(to_builtins(report))
    else:
        click.echo(str(report))
    if not report.passed:
        raise click.exceptions.Exit(1)


@quality.command("set")
@click.argument("dataset")
@click.argument("rules", type=click.Path(path_type=Path))
def set_(dataset: str, rules: Path) -> None:
    """Let only rows enter DATASET that satisfy the rules of a YAML file."""
    chosen = read_rules(rules)
    set_rules(Workspace.open(), dataset, chosen)
    click.echo(f"{dataset}: {len(chosen)} rules; rows that break one go to {dataset}.quarantine")


@quality.command()
@click.argument("dataset")
def show(dataset: str) -> None:
    """Print the rules of a table, as YAML."""
    click.echo(write_rules(rules_of(Workspace.open(), dataset)), nl=False)


@quality.command()
@click.argument("dataset")
@as_json
def history(dataset: str, as_json: bool) -> None:
    """List the checks of a table over its versions."""
    rows = [
        {
            "version": report.subject,
            "checked": report.checked_at,
            "rows": report.rows,
            "rules that hold": f"{report.score:.0%}",
            "passed": report.passed,
        }
        for report in check_history(dataset)
    ]
    print_rows(rows, as_json=as_json, empty=f"no check yet: lepton quality check {dataset}")


@quality.command("quarantine")
@click.argument("dataset")
@click.option("--csv", type=click.Path(path_type=Path), help="Write the rows, to mend them.")
@as_json
def quarantine_(dataset: str, csv: Path | None, as_json: bool) -> None:
    """Show the rows that were kept out, and why."""
    kept = quarantine(dataset)
    rows = [] if kept is None else kept.to_polars().to_dicts()
    if csv is not None and kept is not None:
        kept.to_polars().write_csv(csv)
        click.echo(
            f"{len(rows):,} rows in {csv}; mend them, then: lepton quality readmit {dataset}"
        )
        return
    print_rows(rows if as_json else rows[:_SHOWN], as_json=as_json, empty="nothing is kept aside")


@quality.command("readmit")
@click.argument("dataset")
@click.argument("repaired", type=click.Path(exists=True, path_type=Path))
def readmit_(dataset: str, repaired: Path) -> None:
    """Let repaired rows in; REPAIRED has them with their _id."""
    entered, left = readmit(dataset, read_frame(repaired))
    click.echo(f"{entered:,} rows entered {dataset}, {left:,} stay out")
