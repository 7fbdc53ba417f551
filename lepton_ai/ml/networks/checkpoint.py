"""Checkpoints of a running fit, in one safetensors file each, replaced as a whole.

The file holds tensors and a JSON text, nothing that could run. Its name is the digest of all that
decides the fit (parameters, data, seed), so that a fit never goes on from another one's state.
"""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lepton_ai.core.errors import Corrupt
from lepton_ai.storage.files import replace_file

__all__ = ["Checkpoint"]

_KEY = "state"


class Checkpoint:
    """The place where the state of one member's fit is kept.

    Args:
        directory: made where it is missing.
        digest: of everything that decides the fit.
        member: number within an ensemble.
    """

    def __init__(self, directory: Path, digest: str, member: int) -> None:
        self.path = directory / f"{digest[:32]}-{member}.safetensors"

    def save(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Keep the state; a crash leaves the one before or this one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(state, sort_keys=True)
        replace_file(self.path, safetensors.torch.save(tensors, metadata={_KEY: text}))

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the tensors and the state last kept, or None.

        Raises:
            Corrupt: the file was altered or cut; delete it to start afresh.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                state: dict[str, Any] = json.loads(file.metadata()[_KEY])
                return {name: file.get_tensor(name) for name in file.keys()}, state  # noqa: SIM118
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise Corrupt(
                f"the checkpoint {self.path} cannot be read ({error}); delete it to start afresh"
            ) from error
