"""SQL databases: the answer of one query, by SQLAlchemy, in batches."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from lepton_ai.core.errors import InvalidInput, MissingExtra, NotFound
from lepton_ai.data.readers.columns import series, shared
from lepton_ai.storage.meanings import shown

__all__ = ["Answer", "Wider"]

_ROWS = 50_000
# The driver that the extra `postgres` brings.
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class Wider(Exception):
    """Rows came that the types of those before do not fit; take the answer again."""


class Answer:
    """The rows of a query, in frames of the same columns; each iteration asks anew.

    Args:
        url: as SQLAlchemy writes it, such as ``sqlite:///sales.db`` or ``postgresql://host/name``.
        query: one SELECT, in the database's own words.
    """

    def __init__(self, url: str, query: str) -> None:
        self._query = query
        try:
            made = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError) as error:
            raise InvalidInput(
                "the URL of a database cannot be read (it may hold a password, so it is not "
                "shown); write one such as postgresql://user@host/name"
            ) from error
        self._url = made.set(drivername=_DRIVERS.get(made.drivername, made.drivername))
        self._shown = shown(made)
        # SQLite would make the file.
        file = made.database or ""
        plain = made.drivername.startswith("sqlite") and not file.startswith(("file:", ":memory:"))
        if plain and not Path(file).is_file():
            raise NotFound(f"there is no database {file or 'without a name'}")
        self._schema: dict[str, Any] = {}

    def __iter__(self) -> Generator[pl.DataFrame, None, None]:
        """Yield the rows.

        Raises:
            InvalidInput: the database cannot be reached, or the query has an error.
            MissingExtra: the driver is not installed.
            Wider: as it says; the types of what came are remembered.
        """
        try:
            engine = sa.create_engine(self._url, poolclass=sa.NullPool)
            with engine.connect() as connection:
                if engine.dialect.name == "sqlite":
                    # It would keep a DROP at once; others take back what is not committed.
                    connection.exec_driver_sql("PRAGMA query_only = ON")
                # Without parameters a % or a colon is what it is.
                asked = connection.execution_options(stream_results=True, no_parameters=True)
                result = asked.exec_driver_sql(self._query)
                names = list(result.keys())
                twice = sorted({name for name in names if names.count(name) > 1})
                if twice:
                    raise InvalidInput(f"the query has columns {twice} twice; name them with AS")
                empty = True
                for rows in result.partitions(_ROWS):
                    empty = False
                    yield self._frame(names, rows)
                if empty:
                    yield pl.DataFrame(schema=self._schema or dict.fromkeys(names, pl.String))
        except ImportError as error:
            if self._url.drivername == _DRIVERS["postgresql"]:
                advice = "pip install 'lepton-ai[postgres]'"
            else:
                advice = (
                    "install it yourself, or export the table as CSV or Parquet; SQLite needs "
                    "none, and PostgreSQL has the extra lepton-ai[postgres]"
                )
            raise MissingExtra(
                f"{self._shown} needs the driver {error.name!r}: {advice}"
            ) from error
        except (sa.exc.SQLAlchemyError, UnicodeError) as error:
            cause: Any = getattr(error, "orig", None) or error
            said = " ".join(str(cause).split())
            raise InvalidInput(
                f"{self._shown} cannot be read: {said}; check the address, that the database "
                "runs, and the query"
            ) from error

    def _frame(self, names: list[str], rows: Any) -> pl.DataFrame:
        columns = zip(*rows, strict=True)
        frame = pl.DataFrame([series(n, list(v)) for n, v in zip(names, columns, strict=True)])
        if not self._schema:
            self._schema = dict(frame.schema)
        wanted = {name: shared(name, self._schema[name], frame.schema[name]) for name in names}
        if wanted != self._schema:
            self._schema = wanted
            raise Wider
        return frame.cast({n: k for n, k in wanted.items() if frame.schema[n] != k})
