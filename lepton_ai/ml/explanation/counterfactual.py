"""Counterfactuals: the smallest change of a record that brings another answer.

Only values that the training had: numbers between the 1 % and 99 % quantiles (whole where the
column is whole), categories that ten training rows or more share. Columns that cannot change stay.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.lines import aligned
from lepton_ai.data.columns import dates
from lepton_ai.ml.evaluation.shown import printable
from lepton_ai.ml.explanation.basis import ColumnSummary
from lepton_ai.ml.explanation.changes import check_columns
from lepton_ai.ml.explanation.explainer import Explainer
from lepton_ai.ml.explanation.output import plain
from lepton_ai.ml.explanation.rendering import said
from lepton_ai.ml.explanation.space import TableSpace
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Classes, Clusters, Forecast, Scores

__all__ = ["Counterfactual", "counterfactuals"]

Matrix = NDArray[np.float64]
Pull = Callable[[Matrix], Matrix]

_STEPS = 16
_BEAM = 24
_HALVINGS = 12
_DAY = 86_400_000_000
# Shares that are as near as this are equal to the one who decides, and to float32.
_MARGIN = 2e-6


class Counterfactual(Struct, frozen=True, kw_only=True):
    """A record near the given one that is answered otherwise.

    Attributes:
        model: its reference.
        changes: of each changed column, the value before and after.
        distance: the sum of the changes: of numbers in spreads (median distances to the median) of
            their column, of any other value 1.
        before: the answer to the record.
        after: the answer to the changed one.
        record: the changed one.
    """

    model: str
    changes: dict[str, tuple[Any, Any]]
    distance: float
    before: dict[str, Any]
    after: dict[str, Any]
    record: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        values: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        return values

    def __str__(self) -> str:
        rows = [(printable(name), said(a), said(b)) for name, (a, b) in self.changes.items()]
        table = aligned(("column", "is", "would be"), rows, (1, 2))
        return f"{self.model}, distance {self.distance:.2f}\n{table}\n{self.before}\n{self.after}"


def counterfactuals(
    model: Model,
    record: Mapping[str, Any],
    wanted: str | None = None,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    immutable: Sequence[str] = (),
    allowed: Sequence[str] | None = None,
    ranges: Mapping[str, tuple[float | None, float | None]] | None = None,
    most_changes: int = 3,
    count: int = 3,
) -> list[Counterfactual]:
    """Return the nearest plausible records that are answered as wanted, the nearest first.

    The search tries single columns, then pairs and more of those that go furthest, and moves each
    changed number back as far as the answer stays.

    Args:
        model: of tables.
        record: a mapping from column name to value.
        wanted: the class or label to reach; by default any other than the record's.
        at_least: of a regressor, the value to reach; of a classifier with ``wanted``, the
            probability of that class.
        at_most: of a regressor, the value to fall to.
        immutable: columns that stay as they are, such as age or sex.
        allowed: the only columns that may change.
        ranges: by column, the lowest and highest value that can be reached; None where open.
        most_changes: columns that change together, at most.
        count: how many are returned, at most, each with other columns.

    Returns:
        None of them where no plausible change was found.

    Raises:
        InvalidInput: a column, the label or what is wanted does not fit the model.
        AccessDenied: whoever acts sees a column masked that may change; hold it ``immutable``.
    """
    explainer = model.explainer
    space = explainer.space
    if not isinstance(space, TableSpace) or not isinstance(record, Mapping):
        raise InvalidInput("counterfactuals change the columns of a record; this has none")
    if most_changes < 1 or count < 1:
        raise InvalidInput(
            f"most_changes and count must be 1 or more; got {most_changes} and {count}"
        )
    for names in (immutable, allowed or (), ranges or ()):
        check_columns(names, space.names)
    row = {k: v for k, v in record.items() if k not in model.description.hidden}
    before = explainer.predictor.run(space.features([row]))
    pull = _goal(explainer, before, wanted, at_least, at_most)
    if pull(before)[0] >= 0:
        raise InvalidInput(
            "the record is answered as wanted already: "
            f"{plain(explainer.predictor.outcome, before)}"
        )
    free = [
        name
        for name in space.names
        if name not in immutable and (allowed is None or name in allowed)
    ]
    model.require(free)
    options = {
        name: _options(space.columns[name], row.get(name), (ranges or {}).get(name, (None, None)))
        for name in free
    }
    search = _Search(explainer, space, row, pull)
    found = search.run({name: values for name, values in options.items() if values}, most_changes)
    best: dict[frozenset[str], tuple[float, dict[str, Any]]] = {}
    for changes in found:
        near = search.nearer(changes)
        key, away = frozenset(near), search.distance(near)
        if near and (key not in best or away < best[key][0]):
            best[key] = (away, near)
    chosen = sorted(best.values(), key=lambda item: (item[0], sorted(item[1])))[:count]
    return [_made(explainer, space, row, before, away, changes) for away, changes in chosen]


def _made(
    explainer: Explainer,
    space: TableSpace,
    row: dict[str, Any],
    before: Matrix,
    away: float,
    changes: dict[str, Any],
) -> Counterfactual:
    other = {**row, **changes}
    outcome = explainer.predictor.outcome
    return Counterfactual(
        model=explainer.ref,
        changes={name: (row.get(name), value) for name, value in changes.items()},
        distance=away,
        before=plain(outcome, before),
        after=plain(outcome, explainer.predictor.run(space.features([other]))),
        record=other,
    )


def _goal(
    explainer: Explainer,
    before: Matrix,
    wanted: str | None,
    at_least: float | None,
    at_most: float | None,
) -> Pull:
    """Return how far answers (rows, width) are from what is wanted: 0 and above is there."""
    outcome = explainer.predictor.outcome
    if isinstance(outcome, Forecast):
        raise InvalidInput("counterfactuals are of classes, clusters, anomalies and values")
    if not isinstance(outcome, Classes | Clusters | Scores):
        if (at_least is None) == (at_most is None) or wanted is not None:
            raise InvalidInput("say which value is wanted: at_least= or at_most=")
        if at_least is not None:
            return lambda answers: answers[:, 0] - at_least
        most = float("inf") if at_most is None else at_most
        return lambda answers: most - answers[:, 0]
    names = outcome.names
    label = outcome.labels(before)[0]
    if wanted is not None and str(wanted) not in names:
        raise InvalidInput(f"wanted={wanted!r} is none of the labels: {', '.join(names)}")
    if at_most is not None or (at_least is not None and wanted is None):
        raise InvalidInput("of a label, say wanted= and perhaps at_least= its probability")
    if isinstance(outcome, Scores):
        sign = (
            1.0
            if (wanted or ("normal" if label == "anomaly" else "anomaly")) == "anomaly"
            else -1.0
        )
        edge = outcome.threshold
        return lambda answers: np.where(
            np.array([(s >= edge) == (sign > 0) for s in answers[:, 0]]),
            np.abs(answers[:, 0] - edge),
            -np.abs(answers[:, 0] - edge) - 1e-12,
        )
    place = None if wanted is None else names.index(str(wanted))
    own = names.index(label)

    def pull(answers: Matrix) -> Matrix:
        if place is not None and at_least is not None:
            short: Matrix = answers[:, place] - at_least
            return short
        # The label has to hold by more than the rounding of shares.
        if place is None:
            there = np.array(outcome.labels(_shifted(answers, own, _MARGIN))) != label
            near = -answers[:, own]
        else:
            there = np.array(outcome.labels(_shifted(answers, place, -_MARGIN))) == names[place]
            near = answers[:, place]
        # On this side of the label the share says how near it is, from -2 to just below 0.
        away: Matrix = np.where(there, np.abs(near), near - (1.0 + 1e-9))
        return away

    return pull


def _shifted(answers: Matrix, place: int, by: float) -> Matrix:
    """Return shares (rows, names) of which one is moved by a margin, and the others against it."""
    moved = answers - by
    moved[:, place] += 2 * by
    return moved


def _options(
    column: ColumnSummary, value: Any, bounds: tuple[float | None, float | None]
) -> list[Any]:
    """Return the values that a column may change to."""
    if column.kind == "text":
        return [each for each in column.categories if each != value]
    if column.kind == "boolean":
        return [each for each in (False, True) if each is not value]
    low = column.low if bounds[0] is None else max(column.low, bounds[0])
    high = column.high if bounds[1] is None else min(column.high, bounds[1])
    if high < low:
        return []
    grid = np.linspace(low, high, _STEPS)
    if column.whole:
        # Inside the range, not beyond it by rounding.
        grid = np.unique(np.clip(np.round(grid), np.ceil(low), np.floor(high)))
    return [each for each in grid.tolist() if each != value]


class _Search:
    """A beam search over changes of one record."""

    def __init__(
        self, explainer: Explainer, space: TableSpace, row: dict[str, Any], pull: Any
    ) -> None:
        self._explainer = explainer
        self._space = space
        self._row = row
        self._pull = pull

    def run(self, options: dict[str, list[Any]], most: int) -> list[dict[str, Any]]:
        """Return changes that come to what is wanted, none a part of another."""
        reached: list[dict[str, Any]] = []
        beam: list[dict[str, Any]] = [{}]
        for _ in range(most):
            ahead = {
                frozenset((key, str(v)) for key, v in changed.items()): changed
                for changes in beam
                for name, values in options.items()
                if name not in changes
                for value in values
                if not any(set(done) <= {*changes, name} for done in reached)
                for changed in [{**changes, name: value}]
            }
            if not ahead:
                break
            tried = list(ahead.values())
            near = self.pulls(tried)
            there = [changes for changes, pull in zip(tried, near, strict=True) if pull >= 0]
            reached += self._least(there)
            # What goes far for little is gone on from: both ends of the beam.
            away = np.array([self.distance(changes) for changes in tried])
            gain = near - float(self.pulls([{}])[0])
            rest = [at for at in range(len(tried)) if near[at] < 0]
            best = sorted(rest, key=lambda at: -near[at])[:_BEAM]
            best += sorted(rest, key=lambda at: -gain[at] / (away[at] + 1e-9))[:_BEAM]
            beam = [tried[at] for at in dict.fromkeys(best)]
        return reached

    def _least(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the nearest for each set of columns."""
        least: dict[frozenset[str], dict[str, Any]] = {}
        for changes in sorted(found, key=self.distance):
            least.setdefault(frozenset(changes), changes)
        return list(least.values())

    def pulls(self, changes: list[dict[str, Any]]) -> Matrix:
        """Return how far each change is from what is wanted (changes,)."""
        rows = [{**self._row, **self.typed(each)} for each in changes]
        pulls: Matrix = self._pull(self._explainer.predictor.run(self._space.features(rows)))
        return pulls

    def nearer(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the changes with each number moved back as far as the answer stays."""
        near = dict(changes)
        for name in sorted(near, key=lambda each: -self._moved(each, near[each])):
            column, start = self._space.columns[name], self._number(name)
            without = {key: value for key, value in near.items() if key != name}
            if without and self.pulls([without])[0] >= 0:
                near = without
                continue
            if column.kind not in ("number", "date") or start is None:
                continue
            stays, moved = near[name], start
            for _ in range(_HALVINGS):
                middle = (stays + moved) / 2
                middle = round(middle) if column.whole else middle
                if middle in (stays, moved):
                    break
                if self.pulls([{**near, name: float(middle)}])[0] >= 0:
                    stays = float(middle)
                else:
                    moved = float(middle)
            near[name] = stays
        return self.typed(near)

    def distance(self, changes: dict[str, Any]) -> float:
        """Return how far the changed record is."""
        return sum(self._moved(name, value) for name, value in changes.items())

    def _moved(self, name: str, value: Any) -> float:
        column, start = self._space.columns[name], self._number(name)
        if column.kind not in ("number", "date") or start is None:
            return 1.0
        at = value if isinstance(value, int | float) else float(dates(name, [value])[0])
        return abs(at - start) / (column.spread or 1.0)

    def _number(self, name: str) -> float | None:
        value = self._row.get(name)
        if value is None or value != value:
            return None
        if self._space.columns[name].kind == "date":
            return float(dates(name, [value])[0])
        return float(value) if isinstance(value, int | float | np.number) else None

    def typed(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return changes as a record holds them: days become moments."""
        return {
            name: np.datetime64(round(value * _DAY), "us").item()
            if self._space.columns[name].kind == "date" and isinstance(value, float)
            else value
            for name, value in changes.items()
        }
