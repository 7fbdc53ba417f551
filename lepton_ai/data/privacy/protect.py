"""Protect: a derived table whose columns no longer tell who someone is."""

import hashlib
import hmac
from collections.abc import Callable, Mapping

import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data import tables
from lepton_ai.data.privacy.detect import redact
from lepton_ai.data.table import Table

__all__ = ["Band", "Drop", "Generalise", "Mask", "Protection", "Redact", "Token", "protect"]

_SECRET = "protected columns"  # noqa: S105 (the name of the secret, not the secret)


class Protection(Struct, frozen=True):
    """What is done to one column."""

    def applied(self, column: pl.Series, key: bytes) -> pl.Series | None:
        """Return the column protected; None where it goes."""
        raise NotImplementedError


class Drop(Protection, frozen=True):
    """The column goes."""

    def applied(self, column: pl.Series, key: bytes) -> pl.Series | None:
        """Return nothing."""
        return None


class Mask(Protection, frozen=True):
    """Characters become ``*``, but for some at the end; the length is kept from nobody.

    Attributes:
        keep: how many characters at the end stay, as of a card's number.
    """

    keep: int = 0

    def applied(self, column: pl.Series, key: bytes) -> pl.Series | None:
        """Return the column masked."""
        text = column.cast(pl.String)
        end = text.str.tail(self.keep) if self.keep else pl.lit("")
        return pl.select(
            pl.when(text.is_not_null()).then(pl.lit("*****") + end).alias(column.name)
        ).to_series()


class Token(Protection, frozen=True):
    """Each value becomes a word of its own, the same everywhere in the workspace (HMAC-SHA-256).

    Equal values have equal tokens in all tables, so these can still be joined; nobody can come
    back from a token to the value without the workspace's key, or try values out.

    Attributes:
        prefix: what the tokens begin with.
    """

    prefix: str = ""

    def applied(self, column: pl.Series, key: bytes) -> pl.Series | None:
        """Return the column as tokens."""
        return _mapped(
            column,
            lambda value: (
                self.prefix + hmac.new(key, value.strip().encode(), hashlib.sha256).hexdigest()[:20]
            ),
        )


class Redact(Protection, frozen=True):
    """What tells of a person in free text becomes ``[e-mail]``, ``[name]`` and so on."""

    def applied(self, column: pl.Series, key: bytes) -> pl.Series | None:
        """Return the texts redacted."""
        return _mapped(column, redact)


class Band(Protection, frozen=True):
    """Numbers become bands of one width, as ``30 - 39``; dates their month or year.

    Attributes:
        width: of a band, in the column's unit; of dates ``month`` or ``year``.
    """

    width: float | str

    def applied(self, column: pl.Series, key: bytes) -> pl.Series | None:
        """Return the column in bands."""
        if column.dtype.is_temporal() and self.width in ("month", "year"):
            form = "%Y-%m" if self.width == "month" else "%Y"
            return column.dt.strftime(form)
        if not (column.dtype.is_numeric() and isinstance(self.width, int | float)):
            raise InvalidInput(
                f"column {column.name!r} holds {column.dtype}; numbers take a width such as 10, "
                f"dates 'month' or 'year'; got {self.width!r}"
            )
        if self.width <= 0:
            raise InvalidInput(f"the width of a band is positive; got {self.width}")
        low = (column / self.width).floor() * self.width
        if column.dtype.is_integer() and float(self.width).is_integer():
            low = low.cast(pl.Int64)
            high = low + int(self.width) - 1
            return (low.cast(pl.String) + " - " + high.cast(pl.String)).alias(column.name)
        high = low + self.width
        return (low.cast(pl.String) + " - " + high.cast(pl.String)).alias(column.name)


class Generalise(Protection, frozen=True):
    """Values become what they belong to: by a table, or by their first characters.

    Attributes:
        groups: group by value; what it lacks becomes ``other``.
        start: how many characters at the start stay, as of a postal code.
    """

    groups: dict[str, str] | None = None
    start: int | None = None

    def applied(self, column: pl.Series, key: bytes) -> pl.Series | None:
        """Return the column generalised."""
        if (self.groups is None) == (self.start is None):
            raise InvalidInput("give either groups={value: group} or start=2")
        if self.start is not None:
            return column.cast(pl.String).str.head(self.start)
        groups = self.groups or {}
        return _mapped(column, lambda value: groups.get(value, "other"))


def protect(table: Table, columns: Mapping[str, Protection], name: str) -> Table:
    """Store a table with some columns protected, under another name.

    Columns that were not protected keep their tags there; the tags of protected ones do not follow
    them. `Redact` finds much and not all, so its columns keep theirs.

    Raises:
        InvalidInput: there is no such column, or the protection does not fit it.
        AccessDenied: whoever acts may not see a column.
    """
    unknown = [column for column in columns if column not in table.columns]
    if unknown:
        raise InvalidInput(f"there are no columns {unknown}; there are {table.columns}")
    if name == table.name:
        raise InvalidInput(f"{name} would keep the rows as they were in its history; take another")
    key = table.workspace.keys.secret(_SECRET)
    frame = table.to_polars()
    done = []
    for column in frame.get_columns():
        if column.name in columns:
            changed = columns[column.name].applied(column, key)
            if changed is not None:
                done.append(changed.alias(column.name))
        else:
            done.append(column)
    node = tables.store_table(
        table.workspace,
        name,
        [pl.DataFrame(done)],
        parents=[(table.record().id, "protected")],
        facts={
            "protected": {
                column: type(done).__name__.lower()
                for column, done in columns.items()
                if not isinstance(done, Redact)
            }
        },
    )
    return Table(table.workspace, node)


def _mapped(column: pl.Series, change: Callable[[str], str]) -> pl.Series:
    """Change each value as text, each different one once; what is empty stays so."""
    text = column.cast(pl.String)
    different = text.unique().drop_nulls().to_list()
    return text.replace_strict(
        different, [change(value) for value in different], default=None, return_dtype=pl.String
    )
