"""Importance: which columns a model's answers rest on, over many rows."""

from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.lines import aligned
from lepton_ai.data.columns import numbers, texts
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.table import Table
from lepton_ai.ml.evaluation.shown import between, printable, written
from lepton_ai.ml.evaluation.tried import Tried, read
from lepton_ai.ml.explanation.explainer import Explainer
from lepton_ai.ml.explanation.rules import tree_rules
from lepton_ai.ml.explanation.space import TableSpace
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Classes, Values

__all__ = ["ColumnImportance", "Importance", "importance"]

Matrix = NDArray[np.float64]
Loss = Literal["log loss", "mean absolute error"]

_EXPLAINED = 200
_PERMUTED = 2000


class ColumnImportance(Struct, frozen=True):
    """How much the answers rest on one column.

    Attributes:
        contribution: mean size of its contributions.
        permutation: how much worse the answers are, on average, when its values are shuffled among
            the rows; None where the truth is not known.
        interval: of that, the middle 95 % over shuffles and resampled rows.
    """

    column: str
    contribution: float
    permutation: float | None = None
    interval: tuple[float, float] | None = None


class Importance(Struct, frozen=True, kw_only=True):
    """The columns of a model by importance, the largest first.

    Attributes:
        model: its reference.
        rows: how many rows contributions are averaged over.
        method: how contributions were found.
        space: of the contributions.
        columns: the largest mean contribution first.
        loss: that permutation importance is about; empty where the truth is not known.
        rules: of a decision tree, all of it.
    """

    model: str
    rows: int
    method: str
    space: str
    columns: tuple[ColumnImportance, ...]
    loss: str = ""
    rules: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return the importances as text: heads and rows."""
        head = ["column", "mean |contribution|"]
        head += ["when permuted", "95% interval"] if self.loss else []
        rows = []
        for item in self.columns:
            row = [printable(item.column), written(item.contribution)]
            if self.loss:
                row += [written(item.permutation), between(item.interval, beside=item.permutation)]
            rows.append(row)
        return head, rows

    def plots(self) -> dict[str, Any]:
        """Return the plot by name."""
        from lepton_ai.ml.explanation import plots

        return {"importance": plots.importance(self)}

    def __str__(self) -> str:
        head, rows = self.table()
        about = f"{self.model}, {self.rows} rows, {self.space}, by {self.method}"
        loss = f"\nPermuted: rise of the {self.loss}." if self.loss else ""
        rules = "\n\n" + "\n".join(self.rules) if self.rules else ""
        return f"{printable(about)}{loss}\n{aligned(head, rows, range(1, len(head)))}{rules}"

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.page import picture, table

        head, rows = self.table()
        return f"<div>{picture(self.plots()['importance'])}{table(head, rows)}</div>"


def importance(
    model: Model,
    data: Any = None,
    target: Any = None,
    *,
    about: str | None = None,
    rows: int = _EXPLAINED,
    shuffles: int = 20,
    seed: int = 0,
) -> Importance:
    """Tell which columns a model's answers rest on.

    Contributions are averaged over rows of the data, without it over the prototypes of the
    training. Where the truth is known, columns are also shuffled among the rows, and the rise of
    the loss is measured: log loss of a classifier, mean absolute error of a regressor.

    Args:
        model: to explain.
        data: of the kind that the model was trained on.
        target: the truth, as for `evaluate`; without it the column of the training where there
            is one.
        about: the class to explain; by default what each row is answered.
        rows: that are explained, at most, spread evenly over the data.
        shuffles: of each column.
        seed: of shuffles and resamples.

    Raises:
        InvalidInput: the data does not fit.
        AccessDenied: it is a decision tree, which tells its rules, and whoever acts sees a column
            of its training masked.
    """
    if rows < 1 or shuffles < 2:
        raise InvalidInput(f"rows must be 1 or more and shuffles 2; got {rows} and {shuffles}")
    explainer = model.explainer
    chosen: list[Any]
    if data is None:
        chosen = _prototypes(explainer)
        shares = explainer.space.shares
    else:
        every, _ = model.rows(data)
        if not every:
            raise InvalidInput("the data has no row to explain")
        places = np.unique(np.linspace(0, len(every) - 1, min(rows, len(every))).astype(int))
        chosen = [every[place] for place in places]
        shares = np.full(len(chosen), 1 / len(chosen))
    found = explainer.explain(chosen, about=about, seed=seed)
    sizes = dict.fromkeys(explainer.space.names, 0.0)
    for share, each in zip(shares, found, strict=True):
        for item in each.contributions:
            sizes[item.column] += float(share) * abs(item.contribution)
    permuted: dict[str, tuple[float, tuple[float, float]]] = {}
    loss = ""
    tried = None if data is None else _tried(model, data, target)
    if tried is not None:
        loss, permuted = _permuted(model, tried, shuffles, seed)
    columns = [
        ColumnImportance(name, size, *permuted.get(name, (None, None)))
        for name, size in sizes.items()
    ]
    spaces = list(dict.fromkeys(each.space for each in found))
    forest = explainer.forest
    alone = forest is not None and len(forest.roots) == 1
    if alone:
        model.require()  # the rules name categories and limits of the training
    rules = tree_rules(forest, model.predictor.preparation, model.classes) if alone else []  # type: ignore[arg-type]
    return Importance(
        model=model.ref,
        rows=len(found),
        method=found[0].method,
        space=spaces[0] if len(spaces) == 1 else "log-odds",
        columns=tuple(sorted(columns, key=lambda item: -item.contribution)),
        loss=loss,
        rules=tuple(rules),
    )


def _prototypes(explainer: Explainer) -> list[Any]:
    space = explainer.space
    if isinstance(space, TableSpace):
        return space.records()
    assert explainer.basis.arrays is not None
    return list(explainer.basis.arrays.values)


def _tried(model: Model, data: Any, target: Any) -> Tried | None:
    """Return rows with their truth, where it is known and a loss is measured of it."""
    if not isinstance(model.description.outcome, Classes | Values):
        return None
    if target is None and not isinstance(data, ImageSet):
        wanted = model.description.target
        names = data.columns if isinstance(data, Table) else getattr(data, "columns", ())
        if wanted is None or wanted not in list(names):
            return None
    return read(model, data, target, None, (), None)


def _permuted(
    model: Model, tried: Tried, shuffles: int, seed: int
) -> tuple[Loss, dict[str, tuple[float, tuple[float, float]]]]:
    """Return the loss, and for each column its mean rise and the interval of that."""
    space = model.explainer.space
    owner = space.owner
    outcome = model.description.outcome
    if owner is None:
        return "log loss", {}
    rng = np.random.default_rng(seed)
    places = np.unique(
        np.linspace(0, len(tried.matrix) - 1, min(_PERMUTED, len(tried.matrix))).astype(int)
    )
    matrix = tried.matrix[places]
    assert tried.truth is not None
    truth = tried.truth[places]
    loss: Loss
    if isinstance(outcome, Classes):
        loss = "log loss"
        codes = np.array([outcome.names.index(str(label)) for label in texts(truth)])

        def losses(answers: Matrix) -> Matrix:
            given: Matrix = -np.log(np.clip(answers[np.arange(len(codes)), codes], 1e-7, 1))
            return given
    else:
        loss = "mean absolute error"
        values = numbers(tried.where, truth)

        def losses(answers: Matrix) -> Matrix:
            off: Matrix = np.abs(answers[:, 0] - values)
            return off

    before = losses(model.predictor.run(matrix))
    rises = {}
    for place, name in enumerate(space.names):
        own = np.flatnonzero(owner == place)
        draws = []
        for _ in range(shuffles):
            shuffled = matrix.copy()
            shuffled[:, own] = matrix[np.ix_(rng.permutation(len(matrix)), own)]
            rise = losses(model.predictor.run(shuffled)) - before
            # Another sample of rows would have shown another rise.
            draws.append(rise[rng.integers(0, len(rise), len(rise))].mean())
        low, high = np.quantile(draws, (0.025, 0.975))
        rises[name] = (float(np.mean(draws)), (float(low), float(high)))
    return loss, rises
