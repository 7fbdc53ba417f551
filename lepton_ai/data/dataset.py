"""Dataset: what image sets and tables share, a name, a version and a place in the lineage."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.split_report import SplitReport
from lepton_ai.data.versions import history
from lepton_ai.storage import Node, NodeSpec, Workspace

__all__ = ["Dataset", "Rows", "places_of", "record_sides", "selected_rows"]

Rows = NDArray[np.int64]


class Dataset(ABC):
    """A stored version of a data set, or a selection of its rows.

    It holds no data, only where they are: a dataset node, and the rows that are selected (None:
    all of them). Selections are new objects; nothing is changed in place.

    Attributes:
        workspace: where it is stored.
        dataset: the node of the whole dataset version.
        rows: int64 row numbers of the selection in the whole, None for all.
        node: the node that this very selection has in the lineage, None until `record`.
        split: how it came to be a side of a split, None if it is none.
    """

    def __init__(
        self,
        workspace: Workspace,
        dataset: Node,
        *,
        rows: Rows | None = None,
        node: Node | None = None,
        split: SplitReport | None = None,
    ) -> None:
        self.workspace = workspace
        self.dataset = dataset
        self.rows = rows
        self.node = dataset if rows is None else node
        self.split = split

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.dataset.name

    @property
    def version(self) -> int:
        """The dataset's version, 1 or more."""
        return self.dataset.version or 1

    @property
    def ref(self) -> str:
        """``name:version``, by which the dataset is opened again."""
        return self.dataset.ref

    @abstractmethod
    def __len__(self) -> int:
        """Return how many rows or images are selected."""

    @abstractmethod
    def _like(self, rows: Rows | None, node: Node | None, split: SplitReport | None) -> Self:
        """Return the same with another selection."""

    def _facts(self) -> dict[str, Any]:
        """Return what a selection's node says beside its rows."""
        return {}

    def history(self) -> pl.DataFrame:
        """Return the versions, oldest first: what made each, its rows, bytes and tags."""
        return history(self.workspace, self.name)

    def tag(self, name: str) -> None:
        """Let ``NAME@tag`` mean this version from now on.

        Raises:
            InvalidInput: the tag is no word, or this is a selection.
        """
        if self.rows is not None:
            raise InvalidInput(f"this is a selection of {self.ref}; tag the whole: {self.ref}")
        with self.workspace.transaction() as transaction:
            transaction.alias(self.dataset, name)

    def take(self, places: Sequence[int] | NDArray[np.integer[Any]]) -> Self:
        """Return the selection of these places, in this order; they count from 0."""
        chosen = np.asarray(places, dtype=np.int64)
        return self._like(chosen if self.rows is None else self.rows[chosen], None, None)

    def side(self, node: Node) -> Self:
        """Return the selection that a ``split`` node of this dataset describes."""
        report = node.facts.get("report")
        return self._like(
            selected_rows(self.workspace, node),
            node,
            None if report is None else msgspec.convert(report, SplitReport),
        )

    def record(self) -> Node:
        """Return the selection's node in the lineage, adding it if it has none yet.

        Training calls this, so that a model trained on ``images[:100]`` says so. The same
        selection always has the same node.
        """
        if self.node is None:
            facts = {"side": "selection", **self._facts()}
            self.node = _add_selections(self.workspace, [(self, facts)])[0]
        return self.node


def record_sides(
    data: Dataset, places: Sequence[NDArray[np.intp]], report: SplitReport
) -> list[Any]:
    """Return the two sides of a split, training first, each with its node."""
    drafts = [data.take(side) for side in places]
    said = msgspec.to_builtins(report)
    facts = [
        {"side": side, "seed": report.seed, "report": said, **draft._facts()}
        for side, draft in zip(("train", "test"), drafts, strict=True)
    ]
    nodes = _add_selections(data.workspace, list(zip(drafts, facts, strict=True)))
    return [
        draft._like(draft.rows, node, report) for draft, node in zip(drafts, nodes, strict=True)
    ]


def selected_rows(workspace: Workspace, split: Node) -> Rows:
    """Return the row numbers, in the whole dataset, that a split's node selects."""
    return np.frombuffer(workspace.objects.get(split.facts["rows"]), dtype="<i8")


def _add_selections(
    workspace: Workspace, selections: Sequence[tuple[Dataset, Mapping[str, Any]]]
) -> list[Node]:
    """Add a ``split`` node for each selection, all at once.

    Its id follows from what it says, so a rerun finds it; siblings name each other.
    """
    with workspace.transaction() as transaction:
        drafts = []
        for selection, facts in selections:
            rows = np.arange(len(selection)) if selection.rows is None else selection.rows
            address = transaction.put(rows.astype("<i8").tobytes())
            said = {"dataset": selection.dataset.id, "rows": address, "count": len(rows), **facts}
            text = msgspec.json.encode(said, order="deterministic")
            node_id = f"split_{workspace.keys.token(text.decode())}"
            drafts.append((node_id, selection, msgspec.json.decode(text)))
        specs = [
            NodeSpec(
                kind="split",
                name=f"{selection.name}/{said['side']}",
                digest=said["rows"],
                facts={**said, "siblings": [other for other, *_ in drafts if other != node_id]},
                parents=((selection.dataset.id, "dataset"),),
                holds=(said["rows"],),
                id=node_id,
            )
            for node_id, selection, said in drafts
        ]
        return transaction.nodes(specs)


def places_of(key: Any, length: int) -> NDArray[np.intp]:
    """Return the places that a slice, a list of numbers or a mask of booleans selects.

    Raises:
        InvalidInput: a mask of another length, a place out of range, or another type.
    """
    if isinstance(key, slice):
        return np.arange(length)[key]
    chosen = np.asarray(key)
    if chosen.dtype == bool and chosen.shape == (length,):
        return np.flatnonzero(chosen)
    if chosen.ndim == 1 and chosen.size == 0:
        return np.empty(0, dtype=np.intp)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise InvalidInput(
            f"select by a number, a slice, a list of numbers, or {length} booleans; got "
            f"{chosen.dtype} of shape {chosen.shape}"
        )
    if chosen.min() < -length or chosen.max() >= length:
        raise InvalidInput(f"there are {length} rows, 0 to {length - 1}; got {chosen.tolist()}")
    return chosen.astype(np.intp) % max(length, 1)
