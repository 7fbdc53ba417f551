"""How rows of networks for series fold; a leaf."""

from torch import Tensor

from lepton_ai.core.errors import InvalidInput

__all__ = ["as_sequence", "channels_of"]


def channels_of(shape: tuple[int, ...]) -> int:
    """Return the number of channels of a series.

    Raises:
        InvalidInput: the shape has more than two axes.
    """
    if len(shape) > 2:
        raise InvalidInput(
            f"a series folds to shape=(steps, channels); got {shape}; put all that belongs to one "
            "step on one axis"
        )
    return shape[1] if len(shape) == 2 else 1


def as_sequence(inputs: Tensor) -> Tensor:
    """Return series (rows, \\*shape) as (rows, steps, channels)."""
    return inputs if inputs.ndim == 3 else inputs.unsqueeze(2)
