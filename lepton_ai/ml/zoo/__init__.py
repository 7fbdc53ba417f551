"""The zoo: which models can be trained by name, for which tasks.

`table` lists them, one `entry` each; `find` looks them up by any spelling and makes estimators.
"""

from lepton_ai.ml.zoo.entry import Entry
from lepton_ai.ml.zoo.find import UnknownModel, UnknownParameter, create, entries, find

__all__ = ["Entry", "UnknownModel", "UnknownParameter", "create", "entries", "find"]
