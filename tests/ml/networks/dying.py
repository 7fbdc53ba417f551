"""A network whose second worker dies once, in a module that workers can import."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lepton_ai.ml.networks.tabular import PerceptronClassifier


@dataclass(kw_only=True, eq=False, repr=False)
class DyingPerceptron(PerceptronClassifier):
    """Dies after so many steps, as a worker that is not the first, unless `mark` is there."""

    mark: str = ""
    steps: int = 0

    def _augmented(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        self.__dict__["_taken"] = self.__dict__.get("_taken", 0) + 1
        mark = Path(self.mark)
        late = self.__dict__["_taken"] > self.steps
        if late and self._peers is not None and self._peers.rank and not mark.exists():
            mark.touch()
            os._exit(1)
        return inputs
