"""SQL databases: the answer of one query, by SQLAlchemy."""

from typing import Any

import polars as pl
import sqlalchemy as sa

from lepton_ai.core.errors import InvalidInput

__all__ = ["read_database"]

_ROWS = 50_000


def read_database(url: str, query: str) -> pl.DataFrame:
    """Return the rows of a query, taken in batches.

    Args:
        url: as SQLAlchemy writes it, such as ``sqlite:///sales.db`` or ``postgresql://host/name``.
        query: one SELECT.

    Raises:
        InvalidInput: the database cannot be reached, or the query has an error.
    """
    shown = url
    try:
        made = sa.make_url(url)
        shown = made.render_as_string(hide_password=True)
        engine = sa.create_engine(made)
        with engine.connect() as connection:
            result = connection.execution_options(stream_results=True).execute(sa.text(query))
            names = list(result.keys())
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise InvalidInput(f"the query has columns {twice} twice; name them with AS")
            parts = [
                pl.DataFrame([tuple(row) for row in rows], schema=names, orient="row",
                             infer_schema_length=None)
                for rows in result.partitions(_ROWS)
            ]  # fmt: skip
        engine.dispose()
    except (sa.exc.SQLAlchemyError, ImportError, pl.exceptions.PolarsError) as error:
        cause: Any = getattr(error, "orig", None) or error
        raise InvalidInput(f"{shown} cannot be read: {cause}") from error
    return pl.concat(parts, how="vertical_relaxed") if parts else pl.DataFrame(schema=names)
