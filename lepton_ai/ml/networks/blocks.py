"""Layers that several networks are built of; a leaf."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CONVOLUTIONS", "NORMALISATIONS", "POOLS", "ConvolutionBlock", "DenseBlock"]

# By the number of an image's dimensions.
CONVOLUTIONS: dict[int, type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = {
    1: nn.Conv1d,
    2: nn.Conv2d,
    3: nn.Conv3d,
}
POOLS: dict[int, type[nn.AvgPool1d] | type[nn.AvgPool2d] | type[nn.AvgPool3d]] = {
    1: nn.AvgPool1d,
    2: nn.AvgPool2d,
    3: nn.AvgPool3d,
}
_BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_CHANNELS_A_GROUP = 8

# name -> (dimensions, channels) -> the layer
NORMALISATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "batch": lambda axes, channels: _BATCH_NORMS[axes](channels),
    "group": lambda axes, channels: nn.GroupNorm(max(1, channels // _CHANNELS_A_GROUP), channels),
}


class ConvolutionBlock(nn.Module):
    """Two convolutions, added to what came in (He et al., 2016)."""

    def __init__(self, axes: int, before: int, after: int, stride: int, norm: str) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[axes]
        self.first = convolution(before, after, 3, stride=stride, padding=1, bias=False)
        self.first_norm = NORMALISATIONS[norm](axes, after)
        self.second = convolution(after, after, 3, padding=1, bias=False)
        self.second_norm = NORMALISATIONS[norm](axes, after)
        self.beside: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.beside = nn.Sequential(
                convolution(before, after, 1, stride=stride, bias=False),
                NORMALISATIONS[norm](axes, after),
            )

    def forward(self, images: Tensor) -> Tensor:
        """Return (rows, after, \\*smaller space)."""
        hidden = functional.relu(self.first_norm(self.first(images)))
        return functional.relu(self.second_norm(self.second(hidden)) + self.beside(images))


class DenseBlock(nn.Module):
    """Norm, a wider layer, ReLU, back, added to what came in (Gorishniy et al., 2021)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return hidden values of the same shape (rows, width)."""
        hidden = self.dropout(functional.relu(self.widen(self.norm(inputs))))
        narrowed: Tensor = self.narrow(hidden)
        return inputs + narrowed
