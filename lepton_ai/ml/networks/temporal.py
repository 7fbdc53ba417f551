"""Temporal convolutional networks for series: classes and values.

A row folds to ``shape=(steps, channels)``, oldest step first; a row without a second axis is a
series of one channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.network import Network
from lepton_ai.ml.networks.sequence import as_sequence, channels_of
from lepton_ai.ml.networks.supervised import NetworkClassifier, NetworkRegressor

__all__ = ["CausalBlock", "TemporalClassifier", "TemporalRegressor"]

_TAPS = 3


class CausalBlock(nn.Module):
    """Two dilated convolutions that look back only, added to what came in (Bai et al., 2018)."""

    def __init__(self, before: int, after: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reach = (_TAPS - 1) * dilation
        self.first = nn.Conv1d(before, after, _TAPS, dilation=dilation)
        self.second = nn.Conv1d(after, after, _TAPS, dilation=dilation)
        self.norms = nn.ModuleList([nn.GroupNorm(1, after), nn.GroupNorm(1, after)])
        self.dropout = nn.Dropout(dropout)
        self.beside: nn.Module = nn.Identity() if before == after else nn.Conv1d(before, after, 1)

    def forward(self, series: Tensor) -> Tensor:
        """Return (rows, after, steps) of series (rows, before, steps)."""
        hidden = series
        for convolution, norm in zip((self.first, self.second), self.norms, strict=True):
            looked_back = convolution(functional.pad(hidden, (self.reach, 0)))
            hidden = self.dropout(functional.relu(norm(looked_back)))
        return functional.relu(hidden + self.beside(series))


def dilations(steps: int) -> list[int]:
    """Return dilations 1, 2, 4, ... that let the last step see the first one."""
    found, seen = [1], 1 + 2 * (_TAPS - 1)
    while seen < steps:
        found.append(2 * found[-1])
        seen += 2 * (_TAPS - 1) * found[-1]
    return found


class _Temporal(nn.Module):
    def __init__(self, shape: tuple[int, ...], outputs: int, *, width: int, dropout: float) -> None:
        super().__init__()
        widths = [channels_of(shape), *[width] * len(dilations(shape[0]))]
        self.layers = nn.Sequential(
            *[
                CausalBlock(before, width, dilation, dropout)
                for before, dilation in zip(widths, dilations(shape[0]), strict=False)
            ]
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (rows, outputs) of series (rows, \\*shape)."""
        hidden = self.layers(as_sequence(inputs).transpose(1, 2))
        answer: Tensor = self.head(torch.cat([hidden[:, :, -1], hidden.mean(dim=2)], dim=1))
        return answer


@dataclass(kw_only=True, eq=False, repr=False)
class _TemporalNetwork(Network):
    width: int = 32
    dropout: float = 0.1

    def _body(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        return _Temporal(shape, outputs, width=self.width, dropout=self.dropout)

    def _check(self) -> None:
        super()._check()
        if self.width < 1 or not 0 <= self.dropout < 1:
            raise InvalidInput(
                "width must be 1 or more and dropout from 0 to below 1; "
                f"got {self.width} and {self.dropout}"
            )


@dataclass(kw_only=True, eq=False, repr=False)
class TemporalClassifier(_TemporalNetwork, NetworkClassifier):
    """A temporal convolutional network that tells classes of series apart.

    It has as many layers as its last step needs to see the first one.

    Args:
        width: channels of each layer.
        dropout: share of hidden values set to zero while learning.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class TemporalRegressor(_TemporalNetwork, NetworkRegressor):
    """A temporal convolutional network that gives values of series.

    It has as many layers as its last step needs to see the first one.

    Args:
        width: channels of each layer.
        dropout: share of hidden values set to zero while learning.
    """
