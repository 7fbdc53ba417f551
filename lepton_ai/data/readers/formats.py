"""Formats: the table of readers, by the endings of files; each imported at its first use.

A row of the table is a `Format`. A package adds rows by entry points of the group
``lepton_ai.readers``, each of which names a `Format`.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, BinaryIO, Protocol

import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["LOG", "Format", "Reader", "formats", "suffixes"]

_HERE = "lepton_ai.data.readers"
_GROUP = "lepton_ai.readers"


class Reader(Protocol):
    """What reads a format; further arguments, by name, are its options."""

    def __call__(self, file: BinaryIO, rejects: Rejects, **options: Any) -> Iterable[pl.DataFrame]:
        """Read a file into frames of the same columns.

        Args:
            file: seekable, and read from its beginning.
            rejects: takes the rows that do not fit. Where it does not keep them, the file is
                refused in the end.

        Raises:
            ValueError: the file cannot be read; the message says why.
        """


class Format(Struct, frozen=True):
    """A row of the table of readers.

    Attributes:
        name: of the format.
        suffixes: the endings of its files, in lower case, such as ``.csv``.
        path: of its `Reader`, as ``module:name``.
    """

    name: str
    suffixes: tuple[str, ...]
    path: str

    def load(self) -> Reader:
        """Return the reader."""
        module, _, name = self.path.partition(":")
        reader: Reader = getattr(import_module(module), name)
        return reader


_TABLE = (
    Format("delimited", (".csv", ".tsv", ".txt"), f"{_HERE}.delimited:read_delimited"),
    Format("ndjson", (".ndjson", ".jsonl"), f"{_HERE}.json:read_ndjson"),
    Format("json", (".json",), f"{_HERE}.json:read_json"),
    Format("parquet", (".parquet",), f"{_HERE}.parquet:read_parquet"),
    Format("arrow", (".arrow", ".feather"), f"{_HERE}.arrow:read_arrow"),
    Format("spreadsheet", (".xlsx", ".xls", ".ods"), f"{_HERE}.excel:read_excel"),
    Format("arff", (".arff",), f"{_HERE}.arff:read_arff"),
    Format("xml", (".xml",), f"{_HERE}.xml:read_xml"),
)
# Of any ending, where a pattern is given.
LOG = Format("log", (), f"{_HERE}.logs:read_log")


def formats() -> dict[str, Format]:
    """Return what reads each ending: the formats that are built in, then those of packages.

    Raises:
        InvalidInput: an installed package offers something that is no `Format`.
    """
    found = {suffix: one for one in _TABLE for suffix in one.suffixes}
    for point in entry_points(group=_GROUP):
        one = point.load()
        if not isinstance(one, Format):
            raise InvalidInput(
                f"the entry point {point.name!r} of the group {_GROUP!r} gives "
                f"{type(one).__name__}, not a lepton_ai.data.readers.Format; mend or remove its "
                "package"
            )
        for suffix in one.suffixes:
            found.setdefault(suffix, one)
    return found


def suffixes() -> frozenset[str]:
    """Return the endings of the files that can be read as tables."""
    return frozenset(formats())
