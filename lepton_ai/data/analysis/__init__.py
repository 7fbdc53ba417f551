"""Analysis: what data hold, what goes with what, and what stands out.

`profiling` describes columns, `correlation` and `association` measure what goes together, `leakage`
and `balance` warn before a model is trained, `clustering`, `unusual` and `rules` mine,
`decomposition` looks at time, and `reporting` puts it on one page. A name is imported at its first
use, because scikit-learn, SciPy and statsmodels are slow to import.
"""

from importlib import import_module
from typing import Any

_NAMES = {
    "anomalies": "unusual",
    "association_rules": "rules",
    "class_balance": "balance",
    "clusters": "clustering",
    "correlations": "correlation",
    "decompose": "decomposition",
    "leakage_suspects": "leakage",
    "profile": "profiling",
    "report": "reporting",
    "target_associations": "association",
}

__all__ = sorted(_NAMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
