"""Storage: the workspace, its metadata database, encrypted objects, keys and lineage.

Layer 1: imports only :mod:`lepton_ai.core`.
"""

from lepton_ai.storage.collect import Collected
from lepton_ai.storage.database import Database
from lepton_ai.storage.files import StorageFull
from lepton_ai.storage.keys import KeyLost, KeyRing
from lepton_ai.storage.lineage import Lineage, Link, folder_spec, source_spec
from lepton_ai.storage.nodes import Node, NodeSpec
from lepton_ai.storage.objects import ObjectInfo, ObjectStore
from lepton_ai.storage.sealing import Sealed, Stored
from lepton_ai.storage.transaction import Transaction
from lepton_ai.storage.verify import Fault
from lepton_ai.storage.workspace import Workspace

__all__ = [
    "Collected",
    "Database",
    "Fault",
    "KeyLost",
    "KeyRing",
    "Lineage",
    "Link",
    "Node",
    "NodeSpec",
    "ObjectInfo",
    "ObjectStore",
    "Sealed",
    "StorageFull",
    "Stored",
    "Transaction",
    "Workspace",
    "folder_spec",
    "source_spec",
]
