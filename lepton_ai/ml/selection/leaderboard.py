"""Leaderboard: what was compared before a model was chosen, as data. A leaf.

A model's bundle carries it; what serves a model reads it without any library of learning.
"""

import os
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins

from lepton_ai.ml.evaluation.shown import Columns, between, printable, written

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Group

__all__ = ["Contender", "Leaderboard"]

_SHOWN = 20


class Contender(Struct, frozen=True, kw_only=True):
    """One model that was tried.

    Attributes:
        model: its name in the zoo.
        parameters: those that differ from the zoo's own.
        state: ``complete``, ``stopped`` (after folds on which it was among the worse), ``late``
            (the time was over) or ``failed``.
        note: why, where it is not complete.
        folds: how many it was asked in.
        loss: mean over the rows, which is what models are chosen by.
        spread: standard deviation of the folds' losses.
        figures: others, on the same out-of-fold answers.
        weight: in the chosen model, 0 if it is no part of it.
        seconds: that fitting and asking took in all folds; None where trials were counted instead
            of seconds, so that the same search gives the same bytes.
    """

    model: str
    parameters: dict[str, Any] = {}
    state: str = "complete"
    note: str = ""
    folds: int = 0
    loss: float | None = None
    spread: float | None = None
    figures: dict[str, float] = {}
    weight: float = 0.0
    seconds: float | None = None

    @property
    def told(self) -> str:
        """The parameters in a line."""
        return ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in self.parameters.items()
        )


class Leaderboard(Struct, frozen=True, kw_only=True):
    """What was compared, how, and what came out.

    Attributes:
        task: of the models.
        measure: what the loss is.
        rows: how many were asked about.
        plan: how rows were divided, in words.
        repeats: how often the best were asked on folds drawn anew.
        contenders: best first; those that were not complete last.
        chosen: what was chosen, in words.
        selected_loss: of the chosen, on the answers that it was selected on; it flatters.
        figures: an honest estimate for the chosen: the choice is made again on resamples of the
            rows and measured on the rows that the resample lacks (Tsamardinos et al., 2018).
        intervals: of these figures.
        confidence: level of the intervals.
        seed: of everything random.
        budget: seconds that were to be used, where they were.
        trials: settings that were to be drawn, where they were counted.
        notes: what a reader should know.
    """

    task: str
    measure: str
    rows: int
    plan: str
    repeats: int
    contenders: tuple[Contender, ...]
    chosen: str
    selected_loss: float
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    confidence: float
    seed: int
    budget: float | None = None
    trials: int | None = None
    notes: tuple[str, ...] = ()

    def title(self) -> str:
        """Return what was compared on what, and what was chosen."""
        again = f", {self.repeats} times" if self.repeats > 1 else ""
        tried = f"{len(self.contenders)} models on {self.rows} rows ({self.plan}{again})"
        return f"{tried}; chosen: {self.chosen}"

    def tables(self) -> list[Columns]:
        """Return the contenders and the honest figures as tables."""
        tried = [each for each in self.contenders if each.folds or each.state != "late"]
        best = tried[:_SHOWN]
        every = best[0].figures if best else {}
        # What models are chosen by has a column of its own.
        names = [name for name in every if name.replace("_", " ") != self.measure]
        timed = any(each.seconds is not None for each in best)
        rows = [
            [
                each.model,
                printable(each.told),
                written(each.loss),
                written(each.spread, beside=each.loss),
                *(written(each.figures.get(name)) for name in names),
                f"{each.weight:.2f}" if each.weight else "",
                *([f"{each.seconds:.1f}" if each.seconds is not None else ""] if timed else []),
                each.state if not each.note else f"{each.state}: {printable(each.note)}",
            ]
            for each in best
        ]
        heads = [name.replace("_", " ") for name in names]
        head = ["model", "parameters", self.measure, "spread", *heads, "weight"]
        head += ["seconds"] if timed else []
        more, late = len(tried) - len(best), len(self.contenders) - len(tried)
        left = [f"the first {len(best)}; {more} more"] * bool(more)
        left += [f"no time for {late} more"] * bool(late)
        title = "Leaderboard" + (f" ({'; '.join(left)})" if left else "")
        honest = [
            [
                name.replace("_", " "),
                written(value),
                between(self.intervals.get(name), beside=value),
            ]
            for name, value in self.figures.items()
        ]
        ends = f"{self.confidence:.0%} interval"
        return [
            Columns(title, [*head, "state"], rows, range(2, len(head))),
            Columns("Honest figures of the choice", ["figure", "value", ends], honest, (1, 2)),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        values: dict[str, Any] = to_builtins(self)
        return values

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the losses of the best contenders with their spread over the folds.

        Args:
            path: where to save the figure; the ending says the format (.png, .svg, .pdf).
        """
        from lepton_ai.ml.selection import drawing

        return drawing.leaderboard(self, path)

    def __str__(self) -> str:
        from lepton_ai.ml.evaluation import rendering

        return "\n".join([rendering.comparison_text(self), *(f"Note: {n}" for n in self.notes)])

    def __rich__(self) -> "Group":
        from lepton_ai.ml.evaluation import rendering

        return rendering.comparison_terminal(self)

    def _repr_html_(self) -> str:
        from lepton_ai.ml.evaluation import rendering

        return rendering.comparison_html(self)
