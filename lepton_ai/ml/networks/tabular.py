"""Networks for rows of a table: a residual multilayer perceptron and a 1-D convolution."""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.blocks import ConvolutionBlock, DenseBlock
from lepton_ai.ml.networks.network import Network
from lepton_ai.ml.networks.supervised import NetworkClassifier, NetworkRegressor

__all__ = [
    "PerceptronClassifier",
    "PerceptronRegressor",
    "TableConvolutionClassifier",
    "TableConvolutionRegressor",
]

# Places of the learned order that the columns of a table are brought into.
_PLACES = 16


@dataclass(kw_only=True, eq=False, repr=False)
class _Tabular(Network):
    width: int = 64
    depth: int = 2
    dropout: float = 0.1

    def _check(self) -> None:
        super()._check()
        if self.width < 1 or self.depth < 1 or not 0 <= self.dropout < 1:
            raise InvalidInput(
                "width and depth must be 1 or more and dropout from 0 to below 1; "
                f"got {self.width}, {self.depth} and {self.dropout}"
            )


@dataclass(kw_only=True, eq=False, repr=False)
class _Perceptron(_Tabular):
    def _body(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(prod(shape), self.width),
            *[DenseBlock(self.width, self.dropout) for _ in range(self.depth)],
            nn.LayerNorm(self.width),
            nn.ReLU(),
            nn.Linear(self.width, outputs),
        )


@dataclass(kw_only=True, eq=False, repr=False)
class PerceptronClassifier(_Perceptron, NetworkClassifier):
    """A multilayer perceptron with residual layers that tells classes apart.

    Args:
        width: of each layer.
        depth: number of residual layers.
        dropout: share of hidden values set to zero while learning.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class PerceptronRegressor(_Perceptron, NetworkRegressor):
    """A multilayer perceptron with residual layers that gives values.

    Args:
        width: of each layer.
        depth: number of residual layers.
        dropout: share of hidden values set to zero while learning.
    """


class _OrderedConvolution(nn.Module):
    """Brings the columns into a learned order, then convolves along it.

    Columns of a table have no neighbours; a first dense layer gives them some.
    """

    def __init__(
        self, features: int, outputs: int, *, width: int, depth: int, dropout: float
    ) -> None:
        super().__init__()
        self.width = width
        self.order = nn.Linear(features, width * _PLACES)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            *[ConvolutionBlock(1, width, width, 1, "batch") for _ in range(depth)]
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (rows, outputs) of rows (rows, \\*shape)."""
        ordered = functional.relu(self.order(inputs.flatten(1))).view(-1, self.width, _PLACES)
        hidden = self.layers(self.dropout(ordered))
        answer: Tensor = self.head(torch.cat([hidden.mean(dim=2), hidden.amax(dim=2)], dim=1))
        return answer


@dataclass(kw_only=True, eq=False, repr=False)
class _TableConvolution(_Tabular):
    width: int = 32

    def _body(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        return _OrderedConvolution(
            prod(shape), outputs, width=self.width, depth=self.depth, dropout=self.dropout
        )


@dataclass(kw_only=True, eq=False, repr=False)
class TableConvolutionClassifier(_TableConvolution, NetworkClassifier):
    """A 1-D convolution over the columns of a table that tells classes apart.

    Args:
        width: channels.
        depth: number of residual blocks of two convolutions.
        dropout: share of hidden values set to zero while learning.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class TableConvolutionRegressor(_TableConvolution, NetworkRegressor):
    """A 1-D convolution over the columns of a table that gives values.

    Args:
        width: channels.
        depth: number of residual blocks of two convolutions.
        dropout: share of hidden values set to zero while learning.
    """
