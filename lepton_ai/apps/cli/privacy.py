"""`lepton privacy`: scan, protect, anonymity, anonymise, budget, query."""

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import InvalidInput
from lepton_ai.data import tables
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.privacy.anonymity import anonymise, measure_anonymity
from lepton_ai.data.privacy.budget import budget_of, set_budget
from lepton_ai.data.privacy.detect import find_personal, tag_personal
from lepton_ai.data.privacy.differential import PrivateTable, Release
from lepton_ai.data.privacy.protect import (
    Band,
    Drop,
    Generalise,
    Mask,
    Protection,
    Redact,
    Token,
    protect,
)
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["privacy"]

_dataset = click.argument("dataset")
_quasi = click.option(
    "--quasi", multiple=True, required=True, help="A column that tells who with others; repeat."
)
_sensitive = click.option("--sensitive", multiple=True, help="A sensitive column; may be repeated.")


@click.group()
def privacy() -> None:
    """Find personal data in tables, protect it, and answer without giving anyone away."""


@privacy.command()
@_dataset
@click.option("--tag", is_flag=True, help="Write what is found into the catalog: access follows.")
@as_json
def scan(dataset: str, tag: bool, as_json: bool) -> None:
    """Say which columns hold personal data, and how that is known."""
    table = _open(dataset)
    found = find_personal(table)
    rows = [to_builtins(one) for one in found]
    print_rows(rows, as_json=as_json, empty="no column looks personal; that is no proof")
    if tag and found:
        tag_personal(table, found)
        if not as_json:
            click.echo(f"\ntagged in {table.name}: {', '.join(one.column for one in found)}")
    elif found and not as_json:
        click.echo(f"\nNext: lepton privacy scan {dataset} --tag, then lepton privacy protect")


@privacy.command("protect")
@_dataset
@click.argument("name")
@click.option("--drop", multiple=True, help="A column to leave out.")
@click.option("--mask", "masked", multiple=True, help="A column to mask.")
@click.option("--token", multiple=True, help="A column to replace by consistent tokens.")
@click.option("--redact", multiple=True, help="A column of free text to redact.")
@click.option("--band", multiple=True, help="COLUMN=WIDTH: numbers by 10, dates by month or year.")
@click.option("--start", multiple=True, help="COLUMN=N: keep the first N characters.")
@as_json
def protect_(
    dataset: str,
    name: str,
    drop: tuple[str, ...],
    masked: tuple[str, ...],
    token: tuple[str, ...],
    redact: tuple[str, ...],
    band: tuple[str, ...],
    start: tuple[str, ...],
    as_json: bool,
) -> None:
    """Store DATASET as NAME with columns protected."""
    columns: dict[str, Protection] = {
        **dict.fromkeys(drop, Drop()),
        **dict.fromkeys(masked, Mask()),
        **dict.fromkeys(token, Token()),
        **dict.fromkeys(redact, Redact()),
        **{c: Band(v if v in ("month", "year") else _number(v)) for c, v in map(_pair, band)},
        **{c: Generalise(start=int(_number(v))) for c, v in map(_pair, start)},
    }
    if not columns:
        raise InvalidInput("say what to do with which column, such as --token patient_id")
    made = protect(_open(dataset), columns, name)
    if as_json:
        print_json({"dataset": made.ref, "rows": len(made), "columns": made.columns})
        return
    click.echo(f"{made!r}")


@privacy.command()
@_dataset
@_quasi
@_sensitive
@as_json
def anonymity(
    dataset: str, quasi: tuple[str, ...], sensitive: tuple[str, ...], as_json: bool
) -> None:
    """Measure k-anonymity, l-diversity and t-closeness."""
    measured = measure_anonymity(_open(dataset), quasi, sensitive)
    if as_json:
        print_json(to_builtins(measured))
    else:
        click.echo(str(measured))


@privacy.command("anonymise")
@_dataset
@click.argument("name")
@_quasi
@_sensitive
@click.option("--k", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--l", "diverse", type=click.IntRange(min=1), default=1, show_default=True)
@as_json
def anonymise_(
    dataset: str,
    name: str,
    quasi: tuple[str, ...],
    sensitive: tuple[str, ...],
    k: int,
    diverse: int,
    as_json: bool,
) -> None:
    """Store DATASET as NAME, with nobody alone in the quasi-identifiers."""
    table = _open(dataset)
    done = anonymise(table, quasi, k=k, l=diverse, sensitive=sensitive)
    tables.store_table(
        table.workspace, name, [done.frame], parents=[(table.record().id, "anonymised")]
    )
    if as_json:
        print_json(
            {
                "dataset": name,
                "suppressed": done.suppressed,
                "loss": done.loss,
                "before": to_builtins(done.before),
                "after": to_builtins(done.after),
            }
        )
        return
    click.echo(f"before: {done.before}\nafter: {done.after}\nleft out: {done.suppressed} rows")
    told = ", ".join(f"{column} {loss:.2f}" for column, loss in done.loss.items())
    click.echo(f"loss, 0 to 1: {told}")


@privacy.command()
@_dataset
@click.option("--set", "epsilon", type=float, help="The new limit.")
@as_json
def budget(dataset: str, epsilon: float | None, as_json: bool) -> None:
    """Show or set what differentially private answers may cost."""
    workspace = Workspace.open()
    open_dataset(dataset, workspace)
    if epsilon is not None:
        set_budget(workspace, dataset, epsilon)
    found = budget_of(workspace, dataset)
    if found is None:
        raise InvalidInput(f"{dataset} has no budget; lepton privacy budget {dataset} --set 1.0")
    if as_json:
        print_json(to_builtins(found) | {"left": found.left})
    else:
        click.echo(
            f"{found.dataset}: {found.left:g} of epsilon {found.epsilon:g} left after "
            f"{found.answers} answers"
        )


@privacy.command()
@_dataset
@click.argument("kind", type=click.Choice(["count", "sum", "mean", "median", "histogram"]))
@click.argument("column", required=False)
@click.option("--epsilon", type=float, required=True, help="What the answer may cost.")
@click.option("--bounds", nargs=2, type=float, help="Bounds that hold for anyone, LOW HIGH.")
@click.option("--category", "categories", multiple=True, help="Of a histogram; may be repeated.")
@click.option("--subject", help="The column that tells people apart; else each row is one.")
@as_json
def query(
    dataset: str,
    kind: str,
    column: str | None,
    epsilon: float,
    bounds: tuple[float, float] | None,
    categories: tuple[str, ...],
    subject: str | None,
    as_json: bool,
) -> None:
    """Answer with differential privacy, charged to the budget."""
    private = PrivateTable(_open(dataset), subject)
    release = _ask(private, kind, column, bounds, categories, epsilon)
    if as_json:
        print_json(to_builtins(release))
        return
    about = "" if release.accuracy is None else f" (within {release.accuracy:.4g} at 95 %)"
    click.echo(f"{release.query} = {release.value}{about}")
    for name, left in release.left.items():
        click.echo(f"left of {name}'s budget: {left:g}")


def _ask(
    private: PrivateTable,
    kind: str,
    column: str | None,
    bounds: tuple[float, float] | None,
    categories: tuple[str, ...],
    epsilon: float,
) -> Release:
    if kind == "count":
        return private.count(epsilon=epsilon)
    if column is None:
        raise InvalidInput(f"a {kind} needs a column")
    if kind == "histogram":
        return private.histogram(column, categories, epsilon=epsilon)
    if bounds is None:
        raise InvalidInput(
            f"a {kind} needs --bounds LOW HIGH that hold for anyone, as 0 120 of age"
        )
    if kind == "median":
        return private.quantile(column, 0.5, bounds, epsilon=epsilon)
    ask = private.sum if kind == "sum" else private.mean
    return ask(column, bounds, epsilon=epsilon)


def _open(dataset: str) -> Table:
    table = open_dataset(dataset)
    if not isinstance(table, Table):
        raise InvalidInput(f"{dataset} is no table; for DICOM: lepton deidentify")
    return table


def _pair(text: str) -> tuple[str, str]:
    column, equals, value = text.rpartition("=")
    if not equals or not column:
        raise InvalidInput(f"write COLUMN=VALUE, such as age=10; got {text!r}")
    return column, value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is no number; write COLUMN=10") from None
    return int(value) if value.is_integer() else value
