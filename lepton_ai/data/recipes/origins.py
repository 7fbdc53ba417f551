"""Origins: of which columns a recipe's result was computed, so that tags follow its columns."""

from collections.abc import Iterable, Mapping, Sequence

from lepton_ai.data.expression import columns_in
from lepton_ai.data.recipes.aggregate import Aggregate, Calendar
from lepton_ai.data.recipes.clean import DropColumns
from lepton_ai.data.recipes.derive import Derive, Rename, Select
from lepton_ai.data.recipes.join import Looked
from lepton_ai.data.recipes.step import Step

__all__ = ["SOURCE", "origins"]

# Stands for the rows that the recipe is applied to, beside the datasets that it joins.
SOURCE = ""

# A dataset and a column of it.
Origin = tuple[str, str]


class _Known:
    """What is known of the columns after some of the steps."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.of: dict[str, set[Origin]] = {name: {(SOURCE, name)} for name in columns}
        # What steps read that name their new columns themselves, after those that they read.
        self._read: list[dict[str, set[Origin]]] = []

    def origins(self, names: Iterable[str]) -> set[Origin]:
        """Return where columns come from; where that is not sure, from all that may be."""
        return set().union(*map(self._one, names))

    def _one(self, name: str) -> set[Origin]:
        if name in self.of:
            return self.of[name]
        read = [item for kept in self._read for item in kept.items()]
        fitting = [found for column, found in read if name.startswith(column)]
        return set().union(*(fitting or [found for _, found in read] or self.of.values()))

    def after(self, step: Step) -> None:
        """Take one step."""
        reads, writes = step.reads(), step.writes()
        read = sorted(self.of if reads is None else reads)
        if isinstance(step, Rename):
            self.of = {step.names.get(name, name): found for name, found in self.of.items()}
        elif isinstance(step, Looked):
            self.of |= {step.prefix + name: {(step.pinned, name)} for name in step.columns}
        elif isinstance(step, Aggregate | Calendar):
            kept = (*step.by, step.time) if isinstance(step, Calendar) else step.by
            self.of = {name: self.origins([name]) for name in kept} | self._formulas(step.values)
        elif isinstance(step, Derive):
            self.of |= self._formulas(step.columns)
        elif isinstance(step, Select | DropColumns):
            pass
        elif writes is None:
            self._read.append({name: self.origins([name]) for name in read})
            named = getattr(step, "values", {})
            self.of |= dict.fromkeys(named, self.origins(read))
        else:
            # Each column is written by itself, with the help of those that are only read.
            extra = self.origins(name for name in read if name not in writes)
            self.of |= {name: self.origins([name]) | extra for name in writes}

    def _formulas(self, formulas: Mapping[str, str]) -> dict[str, set[Origin]]:
        return {name: self.origins(columns_in(text)) for name, text in formulas.items()}


def origins(
    steps: Iterable[Step], columns: Sequence[str], result: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Return the columns that each column of a result was computed from, by dataset.

    Args:
        steps: fitted.
        columns: of the rows that the steps were applied to, which `SOURCE` stands for.
        result: the columns that came out.
    """
    known = _Known(columns)
    for step in steps:
        known.after(step)
    told: dict[str, dict[str, list[str]]] = {}
    for name in result:
        of = told.setdefault(name, {})
        for dataset, column in sorted(known.origins([name])):
            of.setdefault(dataset, []).append(column)
    return told
