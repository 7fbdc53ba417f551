"""read_table: a file, the answer of a database, or a frame becomes a stored table."""

import inspect
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import unquote

import polars as pl
from msgspec import structs

from lepton_ai.core.errors import AccessDenied, InvalidInput, LeptonError, NotFound
from lepton_ai.core.progress import watch
from lepton_ai.data import tables
from lepton_ai.data.frames import checked, frame_of
from lepton_ai.data.readers import Format, Rejects, formats, suffixes
from lepton_ai.data.readers.address import is_address, parts_of, plain
from lepton_ai.data.readers.formats import LOG
from lepton_ai.data.returning import warn_of_erased
from lepton_ai.data.spool import Spool
from lepton_ai.data.table import Table
from lepton_ai.storage import NodeSpec, Stored, Workspace, source_spec

__all__ = ["read_frame", "read_source", "read_table", "spool_source"]

_UNREADABLE = (
    pl.exceptions.PolarsError, pl.exceptions.PanicException, UnicodeError, LookupError, ValueError,
)  # fmt: skip


def read_table(
    source: Any,
    *,
    name: str | None = None,
    workspace: Workspace | None = None,
    separator: str | None = None,
    decimal_comma: bool = False,
    missing: Sequence[str] | None = None,
    encoding: str | None = None,
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
        options: of the format: ``flatten=True`` for nested JSON, ``sheet="May"`` and
            ``header_row=3`` of a spreadsheet, ``record="visit"`` for the element of XML that is a
            row.

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
        return Table(place, tables.store_table(place, name, [frame_of(source)]))
    if query is not None:
        if name is None:
            raise InvalidInput(
                "rows of a database need a name: read_table(url, query=..., name=...)"
            )
        return _asked(place, str(source), query, name)
    given = {
        "separator": separator,
        "decimal_comma": decimal_comma or None,
        "missing": missing,
        "encoding": encoding,
        "pattern": pattern,
        "types": types,
        **options,
    }
    path = _path(source)
    format_ = _format(path, given)
    # What is read is what is kept, whatever becomes of the file meanwhile.
    spec, stored = _put(_opened(source), path, place)
    if is_address(source):
        spec = structs.replace(spec, facts={**spec.facts, "path": plain(str(source))})
    with (
        place.objects.open(stored.address) as kept,
        watch(cast("BinaryIO", kept), f"reading {path.name}") as file,
    ):
        rows = _Rows(path.name, format_, file, given, Rejects(keep=rejects == "keep"))
        return _stored(place, name or path.stem, rows, spec)


def read_frame(
    path: str | Path, *, rejects: Literal["refuse", "keep"] = "refuse", **options: Any
) -> pl.DataFrame:
    """Read a file as `read_table` does, without storing it.

    Args:
        rejects: ``keep`` leaves rows out that do not fit.
        options: of the format, as `read_table` has them.

    Raises:
        NotFound, InvalidInput: as `read_table`.
    """
    where = _path(path)
    format_ = _format(where, options)
    with _opened(path) as stream:
        file = stream if stream.seekable() else io.BytesIO(stream.read())
        aside = Rejects(keep=rejects == "keep")
        whole: pl.DataFrame = pl.concat([*_Rows(where.name, format_, file, options, aside)])
        return whole


def read_source(
    path: str | Path, *, workspace: Workspace | None = None, **options: Any
) -> tuple[pl.DataFrame, str]:
    """Keep a file as a source in the lineage, and return its rows and the source's node.

    For rows that go into a table that is there: ``table.append(rows, sources=[node])``.

    Args:
        path: as `read_table` has it.
        workspace: where to keep it; the default one unless given.
        options: of the format, as `read_table` has them.

    Raises:
        NotFound, InvalidInput: as `read_table`.
    """
    rows, source = spool_source(path, workspace or Workspace.open(), **options)
    whole: pl.DataFrame = pl.concat([*rows])
    return whole, source


def spool_source(path: str | Path, workspace: Workspace, **options: Any) -> tuple[Spool, str]:
    """Do what `read_source` does for a file whose rows are larger than memory."""
    where = _path(path)
    format_ = _format(where, options)
    spec, stored = _put(_opened(path), where, workspace)
    with (
        workspace.objects.open(stored.address) as kept,
        watch(cast("BinaryIO", kept), f"reading {where.name}") as file,
    ):
        rows = _Rows(where.name, format_, file, options, Rejects(keep=False))
        spool = Spool(rows, workspace.home)
    _keep(workspace, spec)
    return spool, str(spec.id)


def _put(
    source: AbstractContextManager[BinaryIO], path: Path, workspace: Workspace
) -> tuple[NodeSpec, Stored]:
    """Store a file as it is."""
    with (
        source as stream,
        watch(stream, f"storing {path.name}") as file,
        workspace.transaction() as transaction,
    ):
        stored = transaction.put_stream(file)
    return source_spec(workspace.keys, path, stored), stored


class _Rows:
    """The rows of a file, in frames of the same columns; they can be gone through again."""

    def __init__(
        self,
        name: str,
        format_: Format,
        file: BinaryIO,
        options: Mapping[str, Any],
        rejects: Rejects,
    ) -> None:
        self._name = name
        self._read = format_.load()
        self._file = file
        self._options = {key: value for key, value in options.items() if value is not None}
        self.rejects = rejects
        known = inspect.signature(self._read).parameters
        odd = [key for key in self._options if key not in known]
        if odd and not any(one.kind is one.VAR_KEYWORD for one in known.values()):
            taken = [*known][2:]
            raise InvalidInput(
                f"{name} is read without {odd}; a {format_.name} file has "
                f"{f'the options {taken}' if taken else 'no option'}"
            )

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield the rows.

        Raises:
            InvalidInput: they cannot be read, or some do not fit and are not to be kept aside.
        """
        rejects = self.rejects
        rejects.rows.clear()
        self._file.seek(0)
        try:
            for frame in self._read(self._file, rejects, **self._options):
                yield checked(frame)
        except LeptonError:
            raise
        except _UNREADABLE as error:
            raise InvalidInput(f"{self._name} cannot be read as a table: {error}") from error
        if rejects and not rejects.keep:
            raise InvalidInput(
                f"{self._name} cannot be read as a table: {rejects}; mend the file, or store what "
                "fits: rejects='keep' (--rejects keep)"
            )


def _stored(workspace: Workspace, name: str, rows: _Rows, spec: NodeSpec) -> Table:
    facts: dict[str, Any] = {}
    parents = [(str(spec.id), "source")]
    if rows.rejects.keep:
        for _ in rows:
            pass
        _keep(workspace, spec)
        if rows.rejects:
            # Before the rows: whoever sees them can see which are missing.
            bad = [rows.rejects.frame()]
            kept = tables.store_table(workspace, f"{name}.rejected", bad, parents=parents)
            facts = {"rejected": {"rows": len(rows.rejects), "dataset": kept.ref}}
    found: Iterable[pl.DataFrame] = _Then(rows, lambda: _keep(workspace, spec))
    return Table(
        workspace, tables.store_table(workspace, name, found, parents=parents, facts=facts)
    )


class _Then:
    """An iterable, and what is done when all of it was taken."""

    def __init__(self, whole: Iterable[pl.DataFrame], done: Callable[[], None]) -> None:
        self._whole = whole
        self._done = done

    def __iter__(self) -> Iterator[pl.DataFrame]:
        yield from self._whole
        self._done()


def _keep(workspace: Workspace, spec: NodeSpec) -> None:
    """Note the source of rows that could all be read; no other has one."""
    warn_of_erased(workspace, [spec.digest])
    with workspace.transaction() as transaction:
        transaction.nodes([spec])


def _asked(workspace: Workspace, url: str, query: str, name: str) -> Table:
    from lepton_ai.data.readers.database import Answer, Wider

    answer = Answer(url, query)
    while True:
        # Closed at once, whatever happens: the database waits at its other end.
        with closing(iter(answer)) as frames:
            try:
                rows = map(checked, frames)
                return Table(workspace, tables.store_table(workspace, name, rows))
            except Wider:
                continue


def _path(source: str | Path) -> Path:
    """Return the path of a file; of one at an address, what stands for it."""
    if is_address(source):
        return Path(unquote(parts_of(str(source)).path) or "/")
    return Path(source).expanduser()


def _opened(source: str | Path) -> AbstractContextManager[BinaryIO]:
    if is_address(source):
        from lepton_ai.data.readers.remote import opened

        return opened(str(source))
    path = Path(source).expanduser()
    if not path.is_file():
        raise NotFound(f"there is no file {path}; give the path of a CSV or Parquet file")
    try:
        return path.open("rb")
    except OSError as error:
        raise AccessDenied(f"{path} cannot be opened: {error.strerror}") from error


def _format(path: Path, options: Mapping[str, Any]) -> Format:
    if options.get("pattern") is not None:
        return LOG
    found = formats().get(path.suffix.lower())
    if found is None:
        raise InvalidInput(
            f"{path.name} ends in {path.suffix!r}; tables are read from "
            f"{', '.join(sorted(suffixes()))} files, or from a frame that you read yourself; a log "
            "needs a pattern"
        )
    return found
