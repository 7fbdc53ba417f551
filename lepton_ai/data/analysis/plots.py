"""Plots: what analyses found as matplotlib figures; no display is needed."""

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lepton_ai.data.analysis.clustering import Clusters
    from lepton_ai.data.analysis.correlation import Correlations
    from lepton_ai.data.analysis.decomposition import Decomposition
    from lepton_ai.data.analysis.figures import ColumnProfile
    from lepton_ai.data.analysis.profiling import Profile
    from lepton_ai.data.analysis.unusual import Anomalies

__all__ = ["bars", "cluster_map", "distributions", "heat_map", "parts", "score_histogram"]

Path = str | os.PathLike[str] | None

_INK, _BLUE, _ORANGE, _GREY = "#374151", "#0b6cb8", "#d97706", "#9ca3af"
# Told apart by most who do not see all colours: Okabe and Ito, 2008.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a7d00", "#222222")
# The dates that matplotlib can draw.
_CALENDAR = (np.datetime64("0001-01-02"), np.datetime64("9999-12-30"))
_PANELS, _BARS, _CELLS, _POINTS, _NUMBERED = 24, 30, 40, 5000, 12


def distributions(profile: "Profile", path: Path = None) -> Figure:
    """Draw the columns that have something to draw, at most 24."""
    columns = [c for c in profile.columns if c.histogram is not None or c.top][:_PANELS]
    wide = min(4, max(1, len(columns)))
    high = max(1, math.ceil(len(columns) / wide))
    figure = _figure(2.9 * wide, 2.1 * high)
    for place, column in enumerate(columns):
        axes = figure.add_subplot(high, wide, place + 1)
        _panel(axes, column)
    if not columns:
        _nothing(figure, "no column holds a value")
    return _saved(figure, path)


def _panel(axes: Axes, column: "ColumnProfile") -> None:
    histogram = column.histogram
    if histogram is not None:
        edges = np.array(histogram.edges)
        if column.kind == "date":
            edges = np.clip(np.rint(edges * 86400).astype("datetime64[s]"), *_CALENDAR)
        axes.stairs(histogram.counts, edges, fill=True, color=_BLUE)
        axes.tick_params(labelsize=7)
        axes.locator_params(axis="x", nbins=4) if edges.dtype.kind == "f" else axes.set_xticks(
            edges[[0, len(edges) // 2]]
        )
    else:
        values = column.top[:6][::-1]
        axes.barh(range(len(values)), [v.count for v in values], color=_BLUE)
        axes.set_yticks(range(len(values)), [_short(v.value, 16) for v in values], fontsize=7)
        axes.tick_params(axis="x", labelsize=7)
        axes.locator_params(axis="x", nbins=4)
    axes.set_title(_short(column.name, 30), fontsize=9)


def bars(
    names: Sequence[str],
    values: Sequence[float],
    title: str,
    label: str,
    path: Path = None,
    marked: Sequence[bool] = (),
) -> Figure:
    """Draw values as bars from the top, at most 30.

    Args:
        marked: which of them stand out.
    """
    shown = list(zip(names, values, [*marked, *[False] * len(names)], strict=False))[:_BARS][::-1]
    longest = max((min(80, len(name)) for name, *_ in shown), default=0)
    figure = _figure(5 + 0.065 * longest, 1.1 + 0.25 * max(2, len(shown)))
    if not shown:
        _nothing(figure, "nothing to show")
        return _saved(figure, path)
    axes = figure.add_subplot()
    drawn = axes.barh(
        range(len(shown)),
        [v for _, v, _ in shown],
        color=[_ORANGE if m else _BLUE for *_, m in shown],
    )
    labels = [_figure_of(value) for _, value, _ in shown]
    axes.bar_label(drawn, labels, padding=3, fontsize=8, color=_INK)
    axes.set_yticks(range(len(shown)), [_short(name, 80) for name, *_ in shown], fontsize=8)
    axes.margins(x=0.12, y=0.02)
    axes.tick_params(axis="x", labelsize=8)
    more = f" (the first {_BARS} of {len(names)})" if len(names) > _BARS else ""
    axes.set_title(_short(title, 80) + more, fontsize=10)
    axes.set_xlabel(label, fontsize=9)
    return _saved(figure, path)


def heat_map(found: "Correlations", path: Path = None) -> Figure:
    """Draw the matrix; of more than 40 columns those that go with some other one most."""
    matrix = found.matrix
    strength = np.nan_to_num(np.abs(matrix - np.diag(np.diag(matrix)))).max(axis=1, initial=0)
    chosen = np.sort(np.argsort(-strength, kind="stable")[:_CELLS])
    part = matrix[np.ix_(chosen, chosen)]
    names = [_short(found.columns[place], 24) for place in chosen]
    side = 2.6 + 0.3 * max(4, len(names))
    figure = _figure(side + 0.8, side)
    axes = figure.add_subplot()
    axes.set_facecolor("#e5e7eb")
    image = axes.imshow(part, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, shrink=0.6)
    more = f", {len(names)} of {len(found.columns)} columns" if len(names) < len(matrix) else ""
    axes.set_title(f"{found.method}{more}", fontsize=10)
    if len(names) <= _NUMBERED:
        for i, row in enumerate(part):
            for j, value in enumerate(row):
                if not np.isnan(value):
                    colour = "white" if abs(value) > 0.6 else "black"
                    text = f"{value:.1f}".replace("-0.0", "0.0")
                    axes.text(j, i, text, ha="center", va="center", color=colour, size=6)
    return _saved(figure, path)


def cluster_map(found: "Clusters", path: Path = None) -> Figure:
    """Draw the rows by their first two principal components, at most 5,000 of them."""
    figure = _figure(6.5, 4.6)
    axes = figure.add_subplot()
    step = max(1, math.ceil(len(found.labels) / _POINTS))
    points, labels = found.points[::step], found.labels[::step]
    for group in found.groups:
        here = labels == group.label
        colour = _GREY if group.label < 0 else _COLOURS[group.label % len(_COLOURS)]
        name = "in no group" if group.label < 0 else f"cluster {group.label}"
        axes.scatter(
            points[here, 0], points[here, 1], s=12, color=colour, alpha=0.7, linewidths=0,
            label=f"{name}, {group.share:.0%}",
        )  # fmt: skip
    axes.set_xlabel(f"first principal component, {found.explained[0]:.0%}", fontsize=9)
    axes.set_ylabel(f"second, {found.explained[1]:.0%}", fontsize=9)
    if len(found.groups) <= 20:
        figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return _saved(figure, path)


def score_histogram(found: "Anomalies", path: Path = None) -> Figure:
    """Draw how the scores are distributed, and where those that are reported begin."""
    figure = _figure(6.5, 3)
    axes = figure.add_subplot()
    axes.hist(found.scores, bins=50, color=_BLUE, log=True)
    if found.rows:
        least = min(item.score for item in found.rows)
        axes.axvline(least, color=_ORANGE, label=f"{len(found.rows):,} rows are reported")
        axes.legend(fontsize=8, frameon=False)
    axes.set_xlabel("how easily a row is told from the others", fontsize=9)
    axes.set_ylabel("rows", fontsize=9)
    return _saved(figure, path)


def parts(found: "Decomposition", path: Path = None) -> Figure:
    """Draw the series and its parts, one below the other."""
    lines: list[tuple[str, NDArray[Any]]] = [("observed", found.observed), ("trend", found.trend)]
    lines += [(f"season\n{found.spans[n]}", values) for n, values in found.seasons.items()]
    lines.append(("remainder", found.rest))
    figure = _figure(9, 1.4 * len(lines) + 0.6)
    first: Axes | None = None
    for place, (name, values) in enumerate(lines):
        axes = figure.add_subplot(len(lines), 1, place + 1, sharex=first)
        first = first or axes
        axes.plot(found.times, values, color=_BLUE, linewidth=0.8)
        axes.set_ylabel(name.replace(" (", "\n("), fontsize=8)
        axes.tick_params(labelsize=8, labelbottom=place == len(lines) - 1)
    if found.anomalies and first is not None:
        marks = np.array([item.step for item in found.anomalies])
        axes.plot(found.times[marks], found.rest[marks], "o", color=_ORANGE, markersize=3)
    figure.suptitle(_short(found.subject, 90), fontsize=10)
    return _saved(figure, path)


def _figure_of(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:.3g}"


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _nothing(figure: Figure, text: str) -> None:
    figure.text(0.5, 0.5, text, ha="center", va="center", color=_INK)


def _short(text: str, most: int) -> str:
    """A name may be anything: it starts no formula, breaks no line, and is cut."""
    plain = "".join(mark if mark.isprintable() else "?" for mark in text)
    cut = plain if len(plain) <= most else f"{plain[: most - 1]}…"
    return cut.replace("$", r"\$")


def _saved(figure: Figure, path: Path) -> Figure:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure
