"""DocumentSet: a named, versioned set of files, listed in a table and read when asked for."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Self, overload

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data import tables
from lepton_ai.data.dataset import places_of
from lepton_ai.data.documents.document import Document
from lepton_ai.data.documents.export import export
from lepton_ai.data.images.image import Rejected
from lepton_ai.data.table import Table
from lepton_ai.storage import Node, Workspace

__all__ = ["COLUMNS", "DocumentSet"]

# What is known of each document; `object` is the address of its content in the store.
COLUMNS: dict[str, Any] = {
    "path": pl.String(),
    "bytes": pl.Int64(),
    "media_type": pl.String(),
    "modified": pl.Datetime("us", "UTC"),
    "label": pl.String(),
    "sha256": pl.String(),
    "object": pl.String(),
}


class DocumentSet(Table):
    """Files of one dataset version, or a selection of them; see `import_documents`.

    It is a table of what is known of each file (`COLUMNS`), so SQL, rules, tags, history and
    access are those of tables. ``documents[3]`` is one `Document`, whose content is read on
    demand; a slice, a list of numbers or a mask of booleans gives a `DocumentSet`.
    """

    @classmethod
    def open(cls, workspace: Workspace, dataset: Node) -> Self:
        """Open the set of a dataset node."""
        if dataset.kind != "dataset" or dataset.facts.get("format") != "documents":
            raise InvalidInput(f"{dataset.ref} is not a set of documents")
        return cls(workspace, dataset)

    def to_table(self) -> Table:
        """Return what is known of each document as a plain table."""
        return Table(
            self.workspace, self.dataset, rows=self.rows, node=self.node, principal=self._principal
        )

    @cached_property
    def _known(self) -> pl.DataFrame:
        return self.to_polars([*COLUMNS])

    @property
    def paths(self) -> list[str]:
        """The path of each file in the folder that was imported, with ``/``."""
        return self._known["path"].to_list()

    @property
    def labels(self) -> NDArray[Any] | None:
        """The label of each document; None where no document has one."""
        labels = self._known["label"]
        if labels.null_count() == len(labels):
            return None
        return np.array(labels.to_list(), dtype=object if labels.null_count() else str)

    @property
    def folder(self) -> str:
        """Where the files were read from."""
        return "***" if self._hides_paths else str(self.dataset.facts.get("folder", ""))

    @cached_property
    def rejected(self) -> tuple[Rejected, ...]:
        """The files that were kept aside when the folder was read, and why."""
        address = self.dataset.facts.get("aside")
        if address is None or self._hides_paths:
            return ()
        data = self.workspace.objects.get(address)
        return msgspec.json.decode(data, type=tuple[Rejected, ...])

    @property
    def _hides_paths(self) -> bool:
        sight = self._sight()
        return "path" in {*sight.masked, *sight.refused}

    def filter(self, where: str) -> Self:
        """Return the documents that meet a condition, such as ``media_type = 'text/plain'``.

        Raises:
            InvalidInput: the condition is no SQL, or names other columns than `COLUMNS`.
        """
        wanted = tables.condition(where)
        try:
            kept = self._known.select(wanted.cast(pl.Boolean).alias("kept"))["kept"]
        except pl.exceptions.PolarsError as error:
            raise InvalidInput(
                f"the condition {where!r} does not fit; there are the columns {[*COLUMNS]}: {error}"
            ) from error
        return self.take(kept.fill_null(value=False).arg_true().to_numpy())

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> Document: ...
    @overload
    def __getitem__(self, key: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: slice | Sequence[Any] | NDArray[Any]) -> Self: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int | np.integer) and not isinstance(key, bool | np.bool_):
            if not -len(self) <= key < len(self):
                raise IndexError(f"there are {len(self)} documents; got {key}")
            return self._document(self._known.row(int(key)))
        if isinstance(key, str) or (
            isinstance(key, list | tuple) and key and all(isinstance(name, str) for name in key)
        ):
            return self.to_table()[key]
        return self.take(places_of(key, len(self)))

    def __iter__(self) -> Iterator[Document]:
        return map(self._document, self._known.iter_rows())

    def _document(self, row: tuple[Any, ...]) -> Document:
        return Document(self.workspace, *row)

    def export(self, folder: str | Path) -> list[Path]:
        """Write the files, byte by byte as they were, into a new folder.

        Raises:
            InvalidInput: the folder holds something, or a document's path is none inside a folder.
            StorageFull: the disk is full.
            AccessDenied, NotFound, Corrupt: as `Document.open`.
        """
        return export(self, Path(folder).expanduser())

    def append(self, data: Any, *, sources: Sequence[str] = ()) -> Self:
        """Refuse: a set of documents changes by importing its folder again."""
        self._refuse()

    def upsert(self, data: Any, on: str | Sequence[str], *, sources: Sequence[str] = ()) -> Self:
        """Refuse, as `append`."""
        self._refuse()

    def overwrite(self, data: Any, where: str | None = None) -> Self:
        """Refuse, as `append`."""
        self._refuse()

    def evolve(
        self,
        *,
        add: Mapping[str, Any] | None = None,
        drop: Sequence[str] = (),
        rename: Mapping[str, str] | None = None,
        types: Mapping[str, Any] | None = None,
    ) -> Self:
        """Refuse, as `append`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise InvalidInput(
            f"{self.ref} lists files that are stored; change the folder and import it again, or "
            'remove documents with delete("path = ...")'
        )

    def __repr__(self) -> str:
        part = "" if self.rows is None else f" of {self.dataset.facts['rows']:,}"
        kinds = self._known["media_type"].value_counts(sort=True).head(8).iter_rows()
        lines = [f"DocumentSet {self.ref}: {len(self):,}{part} documents"]
        lines += [f"  {count:,} {kind}" for kind, count in kinds]
        aside = self.dataset.facts.get("rejected", {})
        lines += [f"  set aside: {count:,} {reason}" for reason, count in aside.items()]
        return "\n".join(lines)
