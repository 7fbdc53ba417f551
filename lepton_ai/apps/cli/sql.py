"""`lepton sql`: one SELECT over the datasets."""

import click
import polars as pl
from polars import selectors as cs

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.words import counted
from lepton_ai.data.sql import sql as answer
from lepton_ai.security.principal import acting_as, current_principal

__all__ = ["sql"]


@click.command()
@click.argument("query")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(min=0), help="Rows shown; 0: all."
)
@click.option("--save", metavar="NAME", help="Keep the rows as a dataset of this name.")
@click.option("--plain", is_flag=True, help="With --save: unencrypted, for other Iceberg tools.")
@click.option("--csv", is_flag=True, help="Print CSV.")
@click.option("--as", "principal", help="See what this principal sees.")
@as_json
def sql(
    query: str,
    limit: int,
    save: str | None,
    plain: bool,
    csv: bool,
    principal: str | None,
    as_json: bool,
) -> None:
    """Answer one SELECT over the workspace's datasets.

    lepton sql "select city, avg(age) from hospital.patients group by city"
    """
    if plain and not save:
        raise InvalidInput("--plain says how to --save the rows; give a name: --save NAME --plain")
    with acting_as(principal or current_principal()):
        found = answer(query)
        if save:
            kept = found.save(save, encrypted=False if plain else None)
            click.echo(f"{kept.ref}: {counted(len(kept), 'row')}", err=as_json or csv)
    rows = found.rows if not limit or as_json or csv else found.rows.head(limit)
    if csv:
        nested = [name for name, kind in rows.schema.items() if kind.is_nested()]
        if nested:
            raise InvalidInput(
                f"CSV cannot hold the columns {nested}, which are lists or records; select their "
                "parts, or print --json"
            )
        # As JSON has them.
        texts = (cs.duration().dt.to_string("iso"), cs.binary().bin.encode("base64"))
        click.echo(rows.with_columns(*texts).write_csv(), nl=False)
    elif as_json:
        print_json(_written(rows, "T").to_dicts())
    else:
        print_rows(_written(rows, " ").to_dicts(), as_json=False, empty="no rows")
        if rows.height < found.rows.height:
            click.echo(f"and {found.rows.height - rows.height:,} more (--limit 0 shows all)")


def _written(rows: pl.DataFrame, between: str) -> pl.DataFrame:
    """Return rows with moments as text: Python's have no nanoseconds, and end with the year 9999.

    Sums of whole numbers, which come as decimals, are whole numbers again.
    """
    moment = f"%Y-%m-%d{between}%H:%M:%S%.f"
    return rows.with_columns(
        *[_whole(column) for column in rows if column.dtype == pl.Decimal(38, 0)],
        cs.date().dt.to_string("iso"),
        cs.datetime(time_zone=None).dt.to_string(moment),
        cs.datetime(time_zone="*").dt.convert_time_zone("UTC").dt.to_string(f"{moment}Z"),
    )


def _whole(column: pl.Series) -> pl.Series:
    short = column.cast(pl.Int64, strict=False)
    fits = short.null_count() == column.null_count()
    return short if fits else column.cast(pl.Int128).cast(pl.String)
