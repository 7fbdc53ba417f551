"""Lepton AI: from raw, sensitive data to a secured, traceable prediction service.

The three names of the sample program, `DistributedComputing`, `DataManagement` and
`MachineLearning`, are modules of :mod:`lepton_ai.sdk`, imported on first use, so that
``import lepton_ai`` itself stays free of third-party packages.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lepton_ai.sdk import data_management as DataManagement
    from lepton_ai.sdk import distributed_computing as DistributedComputing
    from lepton_ai.sdk import machine_learning as MachineLearning

__version__ = "0.1.0"
__all__ = ["DataManagement", "DistributedComputing", "MachineLearning", "__version__"]

_DOORS = {
    "DataManagement": "lepton_ai.sdk.data_management",
    "DistributedComputing": "lepton_ai.sdk.distributed_computing",
    "MachineLearning": "lepton_ai.sdk.machine_learning",
}


def __getattr__(name: str) -> ModuleType:
    if name in _DOORS:
        return import_module(_DOORS[name])
    raise AttributeError(f"module 'lepton_ai' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
