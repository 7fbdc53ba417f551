"""read_table: a CSV, Parquet, JSON-lines or ARFF file, or a frame, becomes a stored table."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data import tables
from lepton_ai.data.arff import read_arff
from lepton_ai.data.frames import checked, frame_of
from lepton_ai.data.readers import FORMATS, load_reader
from lepton_ai.data.readers.logs import read_log
from lepton_ai.data.readers.rejects import Rejects
from lepton_ai.data.readers.tolerant import read_delimited, read_ndjson
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace, source_spec

__all__ = ["TABLE_SUFFIXES", "read_frame", "read_table"]

_MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#N/A")


class _Form(Struct, frozen=True):
    """How the text of a file is written; see `read_table`."""

    separator: str | None
    decimal_comma: bool
    missing: tuple[str, ...]
    encoding: str


def read_table(
    source: Any,
    *,
    name: str | None = None,
    workspace: Workspace | None = None,
    separator: str | None = None,
    decimal_comma: bool = False,
    missing: Sequence[str] = _MISSING,
    encoding: str = "utf-8",
    query: str | None = None,
    pattern: str | None = None,
    types: Mapping[str, str] | None = None,
    rejects: Literal["refuse", "keep"] = "refuse",
    **options: Any,
) -> Table:
    """Store a file or a frame as a named table, and return it.

    The rows are kept as an encrypted Iceberg table. A file is kept as it is besides, as the table's
    source in the lineage. Reading the same content again gives the same version; other content
    under the same name is the next version.

    Args:
        source: path of a ``.csv``, ``.tsv``, ``.txt``, ``.parquet``, ``.ndjson``, ``.jsonl``,
            ``.json``, ``.arrow``, ``.feather``, ``.xlsx``, ``.ods``, ``.xml`` or ``.arff`` file;
            the same at an address that fsspec knows, such as ``s3://bucket/rows.csv`` or
            ``https://host/rows.parquet``; the URL of a database, with ``query``; a pandas,
            Polars or Arrow frame; a mapping from column name to values; or a list of records.
        name: the table's name; the file's name without its ending, unless given.
        workspace: where to store it; the default one unless given.
        separator: between the fields of a text file; found in its first line unless given.
        decimal_comma: whether a text file writes 1,5 for one and a half.
        missing: what a text file writes where a value is missing.
        encoding: of a text file, such as ``cp1252``.
        query: the SELECT to ask a database.
        pattern: for a log: ``common``, ``combined``, ``syslog``, ``syslog5424``, ``plain``, or a
            regular expression with named groups, each of which becomes a column.
        types: of columns of text, by name, where the values do not tell: ``Int64``, ``Decimal``,
            ``Float64``, ``Boolean``, ``Date``, ``Datetime``, ``Instant`` (with an offset; kept in
            UTC), ``String``.
        rejects: what to do with rows that do not fit: ragged, not text, of another type than
            nearly all values of a column. ``keep`` stores the good rows, and the others as the
            dataset ``NAME.rejected`` with line, reason and text.
        options: of the format: ``flatten=True`` for nested JSON, ``sheet="May"`` of a
            spreadsheet, ``record="visit"`` for the element of XML that is a row.

    Raises:
        NotFound: there is no such file.
        InvalidInput: the file or frame cannot be read as a table; the message says where.
    """
    place = workspace or Workspace.open()
    if not isinstance(source, str | Path):
        if name is None:
            raise InvalidInput(
                "a table made from a frame needs a name: read_table(frame, name=...)"
            )
        return _store(place, frame_of(source), name, None)
    if query is not None:
        if name is None:
            raise InvalidInput(
                "rows of a database need a name: read_table(url, query=..., name=...)"
            )
        return _store(place, checked(_ask(str(source), query)), name, None)
    form = _Form(separator, decimal_comma, tuple(missing), encoding)
    path, data = _fetched(source)
    if pattern is None and types is None and rejects == "refuse":
        return _store(place, _parsed(path, data, form, options), name or path.stem, (path, data))
    frame, bad = _tolerant(path, data, form, types or {}, pattern)
    if bad and rejects == "refuse":
        raise InvalidInput(
            f"{path.name}: {len(bad):,} rows do not fit: {bad}; mend them, or store the others: "
            "rejects='keep'"
        )
    return _store(place, frame, name or path.stem, (path, data), bad)


def read_frame(path: str | Path) -> pl.DataFrame:
    """Read a file as `read_table` does, without storing it.

    Raises:
        NotFound, InvalidInput: as `read_table`.
    """
    where, data = _fetched(path)
    return _parsed(where, data, _Form(None, False, _MISSING, "utf-8"), {})


def _fetched(source: str | Path) -> tuple[Path, bytes]:
    """Return path and bytes of a file; of one at an address, what stands for its path."""
    if isinstance(source, str) and "://" in source:
        from lepton_ai.data.readers.remote import fetch

        return Path(urlsplit(source).path or "/"), fetch(source)
    path = Path(source).expanduser()
    if not path.is_file():
        raise NotFound(f"there is no file {path}; give the path of a CSV or Parquet file")
    return path, path.read_bytes()


def _parsed(path: Path, data: bytes, form: _Form, options: Mapping[str, Any]) -> pl.DataFrame:
    suffix = path.suffix.lower()
    reader, other = _READERS.get(suffix), load_reader(suffix)
    if reader is None and other is None:
        raise InvalidInput(
            f"{path.name} ends in {path.suffix!r}; tables are read from "
            f"{', '.join(sorted(TABLE_SUFFIXES))} files, or from a frame that you read yourself"
        )
    try:
        if reader is not None and options:
            raise InvalidInput(f"{path.name} is read without {sorted(options)}")
        frame = reader(data, form) if reader is not None else _other(other, data, options)
    except _UNREADABLE as error:
        hint = "" if suffix not in _LINES else "; rejects='keep' keeps the rows that can be read"
        raise InvalidInput(f"{path.name} cannot be read as a table: {error}{hint}") from error
    return checked(frame)


def _tolerant(
    path: Path, data: bytes, form: _Form, types: Mapping[str, str], pattern: str | None
) -> tuple[pl.DataFrame, Rejects]:
    """Read a file of lines row by row."""
    reader = read_log if pattern is not None else _LINES.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(
            f"{path.name}: types= and rejects= are for files of lines ({', '.join(_LINES)}), or "
            "any other with pattern="
        )
    given: dict[str, Any] = {"types": types, "encoding": form.encoding}
    if reader is read_log:
        given["pattern"] = pattern
    elif reader is read_ndjson:
        del given["encoding"]
    else:
        given |= {"separator": form.separator, "missing": form.missing}
    try:
        frame, bad = reader(data, **given)
    except _UNREADABLE as error:
        raise InvalidInput(f"{path.name} cannot be read as a table: {error}") from error
    return checked(frame), bad


def _read_text(data: bytes, form: _Form) -> pl.DataFrame:
    coding = "utf-8-sig" if form.encoding.lower() in ("utf-8", "utf8") else form.encoding
    try:
        text = data.decode(coding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{error}; name its encoding, such as encoding='cp1252'") from error
    if "\0" in text:
        raise ValueError("it holds NUL bytes, so it is no text")
    header = text.partition("\n")[0]
    # Between quotes a separator is part of a name.
    bare = "".join(header.split('"')[::2])
    separator = form.separator or max(",;\t|", key=bare.count)
    names = pl.read_csv(
        io.StringIO(header + "\n"), separator=separator, has_header=False, infer_schema=False
    ).row(0)
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the columns {twice} occur more than once; rename them")
    return pl.read_csv(
        io.StringIO(text),
        separator=separator,
        null_values=list(form.missing),
        try_parse_dates=True,
        decimal_comma=form.decimal_comma,
        infer_schema_length=None,  # a type guessed from the first rows fails at a later one
    )


_READERS: dict[str, Callable[[bytes, _Form], pl.DataFrame]] = {
    ".csv": _read_text,
    ".tsv": _read_text,
    ".txt": _read_text,
    ".arff": lambda data, form: read_arff(data.decode(form.encoding)),
    ".parquet": lambda data, form: pl.read_parquet(io.BytesIO(data)),
    ".ndjson": lambda data, form: pl.read_ndjson(io.BytesIO(data), infer_schema_length=None),
    ".jsonl": lambda data, form: pl.read_ndjson(io.BytesIO(data), infer_schema_length=None),
}
# Read row by row where rows may be rejected.
_LINES: dict[str, Callable[..., tuple[pl.DataFrame, Rejects]]] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".ndjson": read_ndjson,
    ".jsonl": read_ndjson,
}
_UNREADABLE = (pl.exceptions.PolarsError, UnicodeError, LookupError, ValueError)
TABLE_SUFFIXES = frozenset(_READERS) | frozenset(FORMATS)


def _ask(url: str, query: str) -> pl.DataFrame:
    from lepton_ai.data.readers.database import read_database

    return read_database(url, query)


def _other(reader: Any, data: bytes, options: Mapping[str, Any]) -> pl.DataFrame:
    try:
        frame: pl.DataFrame = reader(data, **options)
    except TypeError as error:
        raise ValueError(f"this format has no option like that: {error}") from error
    return frame


def _store(
    workspace: Workspace,
    frame: pl.DataFrame,
    name: str,
    source: tuple[Path, bytes] | None,
    bad: Rejects | None = None,
) -> Table:
    parents = []
    if source is not None:
        path, data = source
        with workspace.transaction() as transaction:
            sealed = workspace.objects.seal(data)
            transaction.add(sealed)
            (node,) = transaction.nodes([source_spec(workspace.keys, path, sealed)])
        parents = [(node.id, "source")]
    facts = {}
    if bad:
        # Before the rows: whoever sees them can see which are missing.
        kept = tables.store_table(workspace, f"{name}.rejected", [bad.frame()], parents=parents)
        facts = {"rejected": {"rows": len(bad), "dataset": kept.ref}}
    return Table(
        workspace, tables.store_table(workspace, name, [frame], parents=parents, facts=facts)
    )
