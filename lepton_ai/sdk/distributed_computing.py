"""Run functions in parallel: an engine for threads, processes or a Ray cluster, one contract.

Example::

    import operator

    from lepton_ai import DistributedComputing

    with DistributedComputing.ProcessEngine() as engine:
        sizes = list(engine.map(abs, range(-5, 5)))
        total = engine.map_reduce(abs, operator.add, range(-1000, 1000))
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
