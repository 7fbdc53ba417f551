"""Plots of explanations; each gives a figure that no display is needed for."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lepton_ai.ml.evaluation.canvas import BLUE, GREY, ORANGE, canvas, plain
from lepton_ai.ml.explanation.explanation import Explanation, Heat
from lepton_ai.ml.explanation.rendering import said

if TYPE_CHECKING:
    from lepton_ai.ml.explanation.dependences import Dependence
    from lepton_ai.ml.explanation.importances import Importance

__all__ = ["contributions", "dependence", "heat", "importance"]

Matrix = NDArray[np.float64]

_MOST = 15


def contributions(found: Explanation) -> Figure:
    """Draw a bar for each column, each from where the one before it ends: from base to answer."""
    shown = list(found.contributions[:_MOST])
    names = [
        plain(f"{item.column} = {said(item.value)}" if item.value is not None else item.column)
        for item in shown
    ]
    steps = [item.contribution for item in shown]
    left = sum(item.contribution for item in found.contributions[_MOST:])
    if len(found.contributions) > _MOST:
        names.append(f"{len(found.contributions) - _MOST} more")
        steps.append(left)
    figure, axes = canvas(7, 1.6 + 0.32 * len(names))
    at = found.base
    for place, step in enumerate(steps):
        axes.barh(place, step, left=at, color=ORANGE if step > 0 else BLUE, height=0.7)
        at += step
        axes.plot([at, at], [place - 0.35, min(place + 1.35, len(steps) - 0.5)], color=GREY, lw=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.06)
    axes.axvline(found.base, color=GREY, linestyle=":", label=f"base {found.base:.4g}")
    axes.axvline(at, color="black", linestyle="--", lw=1, label=f"answer {found.answer:.4g}")
    axes.set_xlabel(plain(found.space))
    axes.set_title(plain(f"{found.model}: {found.about}"), fontsize="medium")
    axes.legend(fontsize="small")
    return figure


def heat(found: Explanation) -> Figure:
    """Draw contributions over the picture, or over the steps and sensors of a series.

    Orange speaks for the answer, violet against it. Of a volume that plane is drawn which counts
    most.
    """
    assert found.heat is not None
    given = found.heat
    values, seen = _plane(given, given.array()), _plane(given, given.array("picture"))
    count = 2 + (given.activation is not None)
    series = bool(given.sensors)
    figure = Figure(figsize=(4.2 * count if not series else 3.6 * count, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, count)

    def show(axes: Axes, drawn: Matrix, title: str, **how: Any) -> Any:
        axes.set_title(title, fontsize="medium")
        if series:
            _name_axes(axes, given)
        else:
            axes.axis("off")
        return axes.imshow(
            drawn, aspect="auto" if series else "equal", interpolation="nearest", **how
        )

    show(panels[0], seen, "what was seen", cmap="gray", vmin=0, vmax=1)
    most = float(np.quantile(np.abs(values), 0.995)) or float(np.abs(values).max()) or 1.0
    if not series:
        panels[1].imshow(seen, cmap="gray", vmin=0, vmax=1, alpha=0.35)
    image = show(
        panels[1], values, f"what speaks for {plain(found.about)}", cmap="PuOr_r", vmin=-most,
        vmax=most, **({} if series else {"alpha": 0.75}),
    )  # fmt: skip
    figure.colorbar(image, ax=panels[1], shrink=0.8, label=plain(found.space))
    if given.activation is not None:
        if not series:
            panels[2].imshow(seen, cmap="gray", vmin=0, vmax=1)
        drawn = _plane(given, given.array("activation"))
        show(panels[2], drawn, "Grad-CAM", cmap="inferno", vmin=0, vmax=1,
             **({} if series else {"alpha": 0.5}))  # fmt: skip
    return figure


def _plane(given: Heat, array: Matrix) -> Matrix:
    if array.ndim < 3:
        return array
    weight = np.abs(given.array()).sum(axis=tuple(range(1, array.ndim)))
    return (
        _plane(given, array[int(weight.argmax())])
        if array.ndim > 3
        else array[int(weight.argmax())]
    )


def _name_axes(axes: Axes, given: Heat) -> None:
    axes.set_ylabel("step (the last is now)")
    if len(given.sensors) <= 24:
        axes.set_xticks(range(len(given.sensors)), map(plain, given.sensors), rotation=90)


def importance(found: "Importance") -> Figure:
    """Draw the mean size of each column's contributions, and its permutation importance."""
    shown = found.columns[:_MOST]
    permuted = any(item.permutation is not None for item in shown)
    figure = Figure(
        figsize=(11 if permuted else 6.5, 1.4 + 0.32 * len(shown)), layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2 if permuted else 1, squeeze=False)[0]
    names = [plain(item.column) for item in shown]
    sizes = [item.contribution for item in shown]
    panels[0].barh(range(len(shown)), sizes, color=BLUE)
    panels[0].set_xlabel(plain(f"mean |contribution|, {found.space}"))
    if permuted:
        panels[1].axvline(0, color=GREY, lw=0.8)
        for place, item in enumerate(shown):
            if item.permutation is not None and item.interval is not None:
                panels[1].plot(item.interval, [place, place], color=BLUE)
                panels[1].plot([item.permutation], [place], "o", color=BLUE)
        panels[1].set_xlabel(plain(f"rise of the {found.loss} when permuted"))
    for axes in panels:
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
    panels[0].set_title(plain(f"{found.model}, {found.rows} rows"), fontsize="medium")
    return figure


def dependence(found: "Dependence") -> Figure:
    """Draw how the mean answer depends on a column, and where its values lie."""
    figure, axes = canvas(6, 4)
    if found.categories:
        names = [plain(name) for name in found.categories]
        axes.bar(range(len(names)), found.answers, color=BLUE)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    else:
        axes.plot(found.values, found.answers, color=BLUE, lw=2)
        axes.plot(found.values, np.full(len(found.values), axes.get_ylim()[0]), "|", color=GREY)
        axes.set_xlabel(plain(found.column))
    axes.set_ylabel(plain(f"{found.about}, {found.space}"))
    axes.set_title(plain(f"{found.model}: {found.kind}"), fontsize="medium")
    return figure
