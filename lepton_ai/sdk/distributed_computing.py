"""Run functions in parallel: an engine for threads, processes or a Ray cluster, one contract.

Example::

    from lepton_ai import DistributedComputing

    with DistributedComputing.ProcessEngine() as engine:
        squares = list(engine.map(square, range(1000)))
        total = engine.map_reduce(square, add, range(1000))
"""

from lepton_ai.compute.engine import Engine, Node, Resources, TaskLost
from lepton_ai.compute.local import ProcessEngine, ThreadEngine
from lepton_ai.compute.ray import RayEngine
from lepton_ai.compute.worker import Reference, TaskTimedOut

__all__ = [
    "Engine",
    "Node",
    "ProcessEngine",
    "RayEngine",
    "Reference",
    "Resources",
    "TaskLost",
    "TaskTimedOut",
    "ThreadEngine",
]
