"""Selection: which model to train, with which settings, and from which probability on to act.

`searching` compares the `candidates` (`trying`) on one `ground`: the same `folds`, whose `sides`
are prepared anew, processes and time; settings are drawn by `sampling`. `blending` weighs the
best, `judging` gives the honest figure of the choice, `leaderboard` keeps it all (`drawing`).
`ensemble` is what is trained of several models, `ensemble_runtime` answers with it. `deciding` fits
calibration, threshold and intervals to answers out of fold.

A name is imported at its first use, because what serves a model needs the leaderboard alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lepton_ai.ml.selection.ground import Given as Given
    from lepton_ai.ml.selection.leaderboard import Contender as Contender
    from lepton_ai.ml.selection.leaderboard import Leaderboard as Leaderboard
    from lepton_ai.ml.selection.searching import Found as Found
    from lepton_ai.ml.selection.searching import out_of_fold as out_of_fold
    from lepton_ai.ml.selection.searching import search as search

_PLACES = {
    "leaderboard": ("Contender", "Leaderboard"),
    "ground": ("Given",),
    "searching": ("Found", "out_of_fold", "search"),
}
_MODULES = {name: place for place, names in _PLACES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
