"""Open: public data sets, pulled from where they are published."""

from lepton_ai.data.open.pull import pull
from lepton_ai.data.open.sets import SETS, OpenSet

__all__ = ["SETS", "OpenSet", "pull"]
