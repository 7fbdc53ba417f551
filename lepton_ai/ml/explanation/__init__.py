"""Explanation: why a model answers as it does, for one row and on the whole.

`explainer` explains rows of a registered model from its bundle alone, by one of the `methods`:
the model's own mathematics (`terms`), exact Shapley values of trees (`forest`, `tree_shapley`),
`gradients` of networks, or Shapley values of any answers (`shapley`). Contributions are given to
the user's own columns (`space`), of which the bundle holds a `basis`, made by `summing`.

An `explanation` is data that shows itself (`rendering`, `plots`, `rules`). On the whole:
`importances` and `dependences`. Beside them `counterfactual` and `changes` ask for other records,
`stabilities` how far an explanation holds.

A name is imported at its first use, because what serves a model needs a part of them alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lepton_ai.ml.explanation.changes import WhatIf as WhatIf
    from lepton_ai.ml.explanation.changes import what_if as what_if
    from lepton_ai.ml.explanation.counterfactual import Counterfactual as Counterfactual
    from lepton_ai.ml.explanation.counterfactual import counterfactuals as counterfactuals
    from lepton_ai.ml.explanation.dependences import Dependence as Dependence
    from lepton_ai.ml.explanation.dependences import dependence as dependence
    from lepton_ai.ml.explanation.explainer import Explainer as Explainer
    from lepton_ai.ml.explanation.explanation import Explanation as Explanation
    from lepton_ai.ml.explanation.importances import Importance as Importance
    from lepton_ai.ml.explanation.importances import importance as importance
    from lepton_ai.ml.explanation.stabilities import Stability as Stability
    from lepton_ai.ml.explanation.stabilities import stability as stability

_PLACES = {
    "counterfactual": ("Counterfactual", "counterfactuals"),
    "dependences": ("Dependence", "dependence"),
    "explainer": ("Explainer",),
    "explanation": ("Explanation",),
    "importances": ("Importance", "importance"),
    "stabilities": ("Stability", "stability"),
    "changes": ("WhatIf", "what_if"),
}
_MODULES = {name: place for place, names in _PLACES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
