"""Drawing of a leaderboard."""

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from lepton_ai.ml.evaluation.canvas import BLUE, GREY, Path, canvas, plain, saved

if TYPE_CHECKING:
    from lepton_ai.ml.selection.leaderboard import Leaderboard

__all__ = ["leaderboard"]

_MOST = 25
_LINE = 0.28


def leaderboard(found: "Leaderboard", path: Path = None) -> Figure:
    """Draw the loss of each model, with the spread of the folds; the chosen ones are blue."""
    best = [each for each in found.contenders if each.loss is not None][:_MOST][::-1]
    figure, axes = canvas(8, 1.2 + _LINE * len(best))
    for place, each in enumerate(best):
        axes.errorbar(
            each.loss or 0.0,
            place,
            xerr=each.spread,
            fmt="o",
            color=BLUE if each.weight else GREY,
            capsize=2,
        )
    names = [plain(f"{each.model} {each.told}".strip()) for each in best]
    axes.set_yticks(range(len(best)), names, fontsize="x-small")
    axes.set(xlabel=f"{found.measure} (bars: standard deviation over folds)")
    axes.set_title(plain(f"Chosen: {found.chosen}"), fontsize="medium")
    return saved(figure, path)
