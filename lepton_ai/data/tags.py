"""Tags: those of each column of a dataset, its own and those of what it was made from.

A version's node may say how its columns came about: ``renamed`` (old name to new), ``protected``
(columns that no longer tell what they told), and ``derived`` (of each column, by the id of a
parent, the columns there that it was computed from). Without ``derived``, columns are those of
the same name.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from lepton_ai.data.entry import get_entry
from lepton_ai.storage import Node, Workspace

__all__ = ["OPEN", "main_name", "tags_of"]

# Tags that only say what a column is for; they hide nothing.
OPEN = frozenset({"subject", "target", "id"})
# A table that keeps rows of another aside holds the same columns, or whole lines of its file.
_ASIDE = ".quarantine"
_REJECTED = ".rejected"
# What may hold values of any column: a line that was rejected, what rules said of a row.
_MIXED = {_REJECTED: ("reason", "text"), _ASIDE: ("_reasons",)}

Tags = dict[str, set[str]]


class _Way(Struct, frozen=True):
    """How columns of a version far up are called in the one that was asked for.

    Attributes:
        names: pairs of a name up there and a name here; None: each name means itself.
        hidden: names that mean nothing any more, where each of the others means itself.
    """

    names: frozenset[tuple[str, str]] | None = None
    hidden: frozenset[str] = frozenset()

    def here(self, name: str) -> list[str]:
        """Return what a column up there is called here."""
        if self.names is None:
            return [] if name in self.hidden else [name]
        return [here for there, here in self.names if there == name]

    def without(self, columns: Iterable[str]) -> "_Way":
        """Return the way on which these columns, as they are called up there, go no further."""
        gone = frozenset(columns)
        if self.names is None:
            return _Way(None, self.hidden | gone)
        return _Way(frozenset(pair for pair in self.names if pair[0] not in gone))

    def through(self, derived: Mapping[str, Sequence[str]]) -> "_Way":
        """Return the way one version further up, where columns were computed from others."""
        return _Way(
            frozenset(
                (source, here)
                for column, sources in derived.items()
                for here in self.here(column)
                for source in sources
            )
        )

    def renamed(self, pairs: Sequence[tuple[str, str]]) -> "_Way":
        """Return the way on which a column is known by all names that it ever had up there."""
        if self.names is None:
            return self
        called: Tags = {}
        for there, here in self.names:
            called.setdefault(there, set()).add(here)
        _follow(called, pairs)
        return _Way(frozenset((there, here) for there in called for here in called[there]))


def tags_of(workspace: Workspace, dataset: Node) -> Tags:
    """Return the tags of each column: its own, those it was made from, those of its other names."""
    links = workspace.lineage.ancestors(dataset.id)
    known = workspace.lineage.nodes({link.parent for link in links}) | {dataset.id: dataset}
    above: dict[str, dict[str, str]] = {}
    for link in links:
        above.setdefault(link.child, {})[link.parent] = link.role
    said = _Said(workspace)
    tags: Tags = {}
    ahead = [(dataset.id, _Way())]
    seen = set(ahead)
    while ahead:
        node_id, way = ahead.pop()
        node = known[node_id]
        derived: Mapping[str, Mapping[str, Sequence[str]]] | None = None
        if node.kind == "dataset":
            way = way.renamed(said.renamed(node.name))
            for column, own in said.tags(node.name).items():
                for here in way.here(column):
                    # What a column is for is lost when it is computed from.
                    kept = own if here == column else own - OPEN
                    tags.setdefault(here, set()).update(kept)
            # What was protected on the way does not bring the tags along that it had before; on
            # another way, round the protection, it still does.
            way = way.without(node.facts.get("protected", ()))
            derived = node.facts.get("derived")
        for parent, role in above.get(node_id, {}).items():
            step = way
            if derived is not None and role != "previous":
                step = way.through({c: of.get(parent, ()) for c, of in derived.items()})
            if (parent, step) not in seen:
                seen.add((parent, step))
                ahead.append((parent, step))
    _follow(tags, said.all_renamed())
    return tags


class _Said:
    """What the catalog and the versions say of datasets, asked once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tags: dict[str, Tags] = {}
        self._renamed: dict[str, list[tuple[str, str]]] = {}

    def tags(self, name: str) -> Tags:
        """Return the tags that people gave to the columns of a dataset."""
        main = main_name(name)
        if main not in self._tags:
            entry = get_entry(self._workspace, main).columns
            self._tags[main] = {column: set(one.tags) for column, one in entry.items()}
        end = "".join(name.partition("#")[0].rpartition(".")[1:])
        if mixed := _MIXED.get(end):
            return self._tags[main] | dict.fromkeys(mixed, set().union(*self._tags[main].values()))
        return self._tags[main]

    def renamed(self, name: str) -> list[tuple[str, str]]:
        """Return the old and the new name of every column that any version renamed."""
        for word in {name, main_name(name)} - self._renamed.keys():
            nodes = self._workspace.lineage.list("dataset", word)
            self._renamed[word] = [
                pair for node in nodes for pair in node.facts.get("renamed", {}).items()
            ]
        return [*self._renamed[name], *self._renamed[main_name(name)]]

    def all_renamed(self) -> list[tuple[str, str]]:
        """Return those of all datasets that were asked for."""
        return [pair for pairs in self._renamed.values() for pair in pairs]


def main_name(name: str) -> str:
    """Return the dataset whose entry speaks of a branch, or of rows that were kept aside."""
    return name.partition("#")[0].removesuffix(_ASIDE).removesuffix(_REJECTED)


def _follow(tags: Tags, renamed: Sequence[tuple[str, str]]) -> None:
    """Let a column have the tags of all names it ever had, whichever version is read."""
    before = -1
    while before != (before := sum(map(len, tags.values()))):
        for old, new in renamed:
            both = tags.get(old, set()) | tags.get(new, set())
            if both:
                tags[old], tags[new] = {*both}, {*both}
