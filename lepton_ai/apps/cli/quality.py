"""`lepton quality`: check, set, show, history, quarantine, readmit."""

from pathlib import Path

import click
import polars as pl
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.words import counted
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.quality import (
    Finding,
    check_history,
    check_table,
    quarantine,
    read_rules,
    readmit,
    rules_of,
    set_rules,
    write_rules,
)
from lepton_ai.data.quality.repaired import read_repaired
from lepton_ai.data.quality.shown import kept_rules
from lepton_ai.data.table import Table
from lepton_ai.data.tags import main_name
from lepton_ai.storage import Workspace

__all__ = ["quality"]

_SHOWN, _WIDE = 20, 6  # rows and columns that a terminal shows


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
@as_json
def set_(dataset: str, rules: Path, as_json: bool) -> None:
    """Let only rows enter DATASET that satisfy the rules of a YAML file."""
    chosen = read_rules(rules)
    set_rules(Workspace.open(), dataset, chosen)
    if as_json:
        print_json(
            {"dataset": dataset, "rules": len(chosen), "quarantine": f"{dataset}.quarantine"}
        )
        return
    click.echo(
        f"{dataset}: {counted(len(chosen), 'rule')}; rows that break one go to {dataset}.quarantine"
    )


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
            "checked": report.subject,
            "at": report.checked_at,
            "rows": report.rows,
            "rules_that_hold": f"{report.held} of {len(report.findings)}",
            "passed": report.passed,
            "what_does_not": "; ".join(_broken(f) for f in report.findings if not f.passed),
        }
        for report in check_history(dataset)
    ]
    print_rows(
        rows, as_json=as_json, spoken=True, empty=f"no check yet: lepton quality check {dataset}"
    )


def _broken(finding: Finding) -> str:
    rows = f" ({counted(finding.failed, 'row')})" if finding.failed else ""
    return f"{finding.sentence}{rows}"


@quality.command("quarantine")
@click.argument("dataset")
@click.option("--csv", type=click.Path(path_type=Path), help="Write the rows, to mend them.")
@as_json
def quarantine_(dataset: str, csv: Path | None, as_json: bool) -> None:
    """Show the rows that were kept out, and why."""
    kept = quarantine(dataset)
    frame = pl.DataFrame() if kept is None else kept.to_polars()
    if csv is not None and kept is not None:
        try:
            frame.write_csv(csv)
        except pl.exceptions.ComputeError as error:
            raise InvalidInput(
                f"the rows do not fit CSV ({error}); mend them in Python: "
                f"readmit({dataset!r}, quarantine({dataset!r}).to_polars())"
            ) from error
        click.echo(
            f"{counted(frame.height, 'row')} in {csv}; mend them, then: "
            f"lepton quality readmit {dataset}"
        )
        return
    if as_json or not frame.width:
        print_rows(frame.to_dicts(), as_json=as_json, empty="nothing is kept aside")
        return
    # Of a wide table, what the rules look at says why; the file has all of it.
    read = {c for rule in kept_rules(Workspace.open(), main_name(dataset)) for c in rule.columns()}
    named = [c for c in frame.columns if c in read] or frame.columns[:-3]
    rows = frame.select(named[:_WIDE], why="_reasons").head(_SHOWN).to_dicts()
    print_rows(rows, as_json=False, empty="nothing is kept aside")
    if rows:
        click.echo(
            f"{len(rows):,} of {frame.height:,} rows; all columns, to mend them: "
            f"lepton quality quarantine {dataset} --csv rows.csv"
        )


@quality.command("readmit")
@click.argument("dataset")
@click.argument("repaired", type=click.Path(exists=True, path_type=Path))
@as_json
def readmit_(dataset: str, repaired: Path, as_json: bool) -> None:
    """Let repaired rows in; REPAIRED has them with their _id."""
    entered, left = readmit(dataset, read_repaired(repaired))
    if as_json:
        print_json({"dataset": dataset, "entered": entered, "left": left})
        return
    click.echo(f"{counted(entered, 'row')} entered {dataset}, {left:,} stay out")
