"""Canvas: what every plot begins and ends with; no display is needed."""

import os

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lepton_ai.ml.evaluation.evaluation import Evaluation
from lepton_ai.ml.evaluation.shown import printable

__all__ = ["BLUE", "COLOURS", "GREY", "ORANGE", "Path", "canvas", "entitle", "plain", "saved"]

Path = str | os.PathLike[str] | None

# Told apart by most who do not see all colours: Okabe and Ito, 2008.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a7d00", "#222222")
BLUE, ORANGE, GREY = COLOURS[0], COLOURS[1], "#9ca3af"
_LONGEST = 60


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of so many inches, and the axes to draw on."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def entitle(axes: Axes, evaluation: Evaluation) -> None:
    """Write above a plot what was measured on what."""
    about = f"on {evaluation.data}: {evaluation.rows} rows" if evaluation.data else ""
    lines = [plain(line) for line in (evaluation.model, about) if line]
    axes.set_title("\n".join(lines), fontsize="medium")


def plain(text: str) -> str:
    """Return a name that starts no formula, breaks no line, and is cut where it is long."""
    shown = printable(text)
    cut = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
    return cut.replace("$", r"\$")


def saved(figure: Figure, path: Path) -> Figure:
    """Save a figure where a path is given, and return it."""
    if path is not None:
        figure.savefig(path)
    return figure
