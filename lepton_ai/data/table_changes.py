"""Changes of a table, as methods: each returns the version that it made."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data import tables
from lepton_ai.data.access import Sight
from lepton_ai.data.dataset import Dataset
from lepton_ai.data.frames import frame_of
from lepton_ai.data.spool import Spool
from lepton_ai.storage import Node, Workspace

__all__ = ["ChangedTable"]


class ChangedTable(Dataset):
    """The part of a `Table` that makes new versions; see there."""

    @abstractmethod
    def _changed(self, dataset: Node) -> Self:
        """Return the same table at another version."""

    @abstractmethod
    def _sight(self) -> Sight:
        """Return what the principal sees of the version."""

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """The names of the columns, in order."""

    def append(self, data: Any, *, sources: Sequence[str] = ()) -> Self:
        """Add rows, and return the version that has them.

        Like every change, it is made on the newest version, whichever this object is.

        Args:
            data: a frame, a mapping of columns, a list of records, or an iterator of frames.
            sources: nodes of the files that the rows come from, as `read_source` gives them.

        Raises:
            InvalidInput: this is a selection, or the rows do not fit the columns.
        """
        parents = [(source, "source") for source in sources]
        return self._changed(tables.append(*self._whole(), self._frames(data), parents))

    def upsert(self, data: Any, on: str | Sequence[str], *, sources: Sequence[str] = ()) -> Self:
        """Replace the rows whose key comes again, add the others, and return the new version.

        Args:
            data: as in `append`.
            on: the column or columns that form the key.
            sources: as in `append`.

        Raises:
            InvalidInput: as `append`, and when a key is empty or comes twice.
        """
        keys = [on] if isinstance(on, str) else list(on)
        # Whoever sees a column masked would put *** in the place of what is there.
        self._sight().require(self.columns, "replace rows")
        parents = [(source, "source") for source in sources]
        return self._changed(tables.upsert(*self._whole(), self._frames(data), keys, parents))

    def overwrite(self, data: Any, where: str | None = None) -> Self:
        """Put rows in the place of all, or of those that meet a condition.

        Args:
            data: as in `append`; without ``where`` it may have other columns.
            where: as in `scan`.
        """
        self._sight().require(self.columns, "replace rows")
        frames = self._frames(data)
        if where is not None:
            self._sight().require(tables.condition(where).meta.root_names(), "choose rows")
            return self._changed(tables.overwrite(*self._whole(), frames, where))
        parents = [(self.dataset.id, "previous")]
        return self._changed(
            tables.store_table(*self._whole(), frames, parents=parents, operation="overwrite")
        )

    def delete(self, where: str) -> Self:
        """Remove the rows that meet a condition, and return the version without them."""
        self._sight().require(tables.condition(where).meta.root_names(), "choose rows")
        return self._changed(tables.delete(*self._whole(), where))

    def evolve(
        self,
        *,
        add: Mapping[str, Any] | None = None,
        drop: Sequence[str] = (),
        rename: Mapping[str, str] | None = None,
        types: Mapping[str, Any] | None = None,
    ) -> Self:
        """Change columns without writing rows anew, and return the version that has them so.

        Args:
            add: Polars types by name; empty in the rows that are there.
            drop: names.
            rename: new names by old ones.
            types: wider types, such as Int64 for Int32.

        Raises:
            InvalidInput: a column is missing or there already, or a type is not wider.
        """
        drop = [drop] if isinstance(drop, str) else drop
        self._sight().require([*drop, *(rename or {}), *(types or {})], "change tables")
        return self._changed(
            tables.evolve(*self._whole(), add or {}, drop, rename or {}, types or {})
        )

    def tag(self, name: str) -> None:
        """Let ``NAME@tag`` mean this version; it is then not expired."""
        workspace, _ = self._whole()
        tables.tag(workspace, self.dataset, name)

    def branch(self, name: str) -> Self:
        """Start a line of versions of its own here, opened again as ``NAME#branch``."""
        workspace, _ = self._whole()
        return self._changed(tables.branch(workspace, self.dataset, name))

    def merge(self) -> Self:
        """Make this branch's newest version the newest of its table.

        Raises:
            Conflict: the table went on meanwhile.
        """
        return self._changed(tables.merge(*self._whole()))

    def compact(self) -> Self:
        """Write small files together; the rows and their order stay."""
        return self._changed(tables.compact(*self._whole()))

    def expire(
        self, *, keep: int = 1, older_than: datetime | None = None, force: bool = False
    ) -> Any:
        """Remove the rows of old versions; see `lepton_ai.data.tables.maintenance.expire`."""
        options = {"keep": keep, "older_than": older_than, "force": force}
        return tables.expire(*self._whole(), **options)

    def _whole(self) -> tuple[Workspace, str]:
        if self.rows is not None or self.columns != list(self.dataset.facts["columns"]):
            raise InvalidInput(
                f"this is a selection of {self.ref}; change the table itself: "
                f"open_dataset({self.name!r})"
            )
        return self.workspace, self.name

    def _frames(self, data: Any) -> Iterable[pl.DataFrame]:
        """Return frames that can be taken again when another process was faster."""
        if isinstance(data, Iterator):
            spool = Spool(map(frame_of, data), self.workspace.home)
            if not len(spool):
                raise InvalidInput("the iterator gave no frame; a frame without rows is one too")
            return spool
        return data if isinstance(data, Spool) else [frame_of(data)]
