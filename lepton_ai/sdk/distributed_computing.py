"""Run functions in parallel: `map`, `map_reduce`, `submit`, `put` on an engine of your choice."""

from lepton_ai.compute.engine import Engine, Node, Reference, Resources, TaskLost
from lepton_ai.compute.limits import TaskTimedOut
from lepton_ai.compute.local import ProcessEngine, ThreadEngine

__all__ = [
    "Engine",
    "Node",
    "ProcessEngine",
    "Reference",
    "Resources",
    "TaskLost",
    "TaskTimedOut",
    "ThreadEngine",
]
