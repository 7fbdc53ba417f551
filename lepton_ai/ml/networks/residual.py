"""A small residual convolutional network for images of one, two or three dimensions.

Its depth follows from the image: each stage halves the sides and doubles the channels while at
least four pixels are left on the shortest side, up to five stages.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.augmentation import augment, strengths
from lepton_ai.ml.networks.blocks import (
    CONVOLUTIONS,
    NORMALISATIONS,
    POOLS,
    ConvolutionBlock,
)
from lepton_ai.ml.networks.network import Network
from lepton_ai.ml.networks.supervised import NetworkClassifier, NetworkRegressor

__all__ = ["ResidualClassifier", "ResidualRegressor"]

_MOST_CHANNELS = 4
_MOST_STAGES = 5
_FEWEST_PIXELS = 4
# From this side on the first convolution strides: full resolution costs most and tells least.
_LARGE = 64


def _layout(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Return the sides of an image and its number of channels.

    A third axis of up to four places is one of colours, a longer one of space.
    """
    if len(shape) == 4 or (len(shape) == 3 and shape[-1] <= _MOST_CHANNELS):
        return shape[:-1], shape[-1]
    if len(shape) > 4:
        raise InvalidInput(
            f"an image has one to three dimensions, and channels last; got shape {shape}"
        )
    return shape, 1


def _channels_first(inputs: Tensor, channels: bool) -> Tensor:
    return inputs.movedim(-1, 1) if channels else inputs.unsqueeze(1)


class _Residual(nn.Module):
    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        width: int,
        blocks: int,
        norm: str,
        dropout: float,
        per_image: bool,
        pool: int,
    ) -> None:
        super().__init__()
        space, channels = _layout(shape)
        axes, side = len(space), min(space) // pool
        self.pool = POOLS[axes](pool) if pool > 1 else nn.Identity()
        self.channels_last = len(shape) > axes
        self.per_image = per_image
        stride = 2 if side >= _LARGE else 1
        self.stem = CONVOLUTIONS[axes](channels, width, 3, stride=stride, padding=1, bias=False)
        self.stem_norm = NORMALISATIONS[norm](axes, width)
        side, before, layers = -(-side // stride), width, []
        for stage in range(_MOST_STAGES):
            stride = 1 if stage == 0 else 2
            if side // stride < _FEWEST_PIXELS and stage:
                break
            side, after = -(-side // stride), width * 2 ** min(stage, 3)
            for block in range(blocks):
                layers.append(
                    ConvolutionBlock(axes, before, after, stride if block == 0 else 1, norm)
                )
                before = after
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, outputs)
        if axes == 2:
            # The layout that convolutions on processors are twice as fast in.
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (rows, outputs) of images (rows, \\*shape)."""
        images = _channels_first(inputs, self.channels_last)
        if self.per_image:
            axes = tuple(range(1, images.ndim))
            images = images - images.mean(dim=axes, keepdim=True)
            images = images / (images.square().mean(dim=axes, keepdim=True) + 1e-6).sqrt()
        hidden = self.layers(functional.relu(self.stem_norm(self.stem(self.pool(images)))))
        pooled = hidden.mean(dim=tuple(range(2, hidden.ndim)))
        answer: Tensor = self.head(self.dropout(pooled))
        return answer


@dataclass(kw_only=True, eq=False, repr=False)
class _ResidualNetwork(Network):
    learning_rate: float = 1e-2
    width: int = 16
    blocks: int = 1
    # On X-rays and digits it learned faster and further than "group" in the same time.
    norm: str = "batch"
    dropout: float = 0.1
    per_image: bool = False
    pool: int = 1

    def _body(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        return _Residual(
            shape,
            outputs,
            width=self.width,
            blocks=self.blocks,
            norm=self.norm,
            dropout=self.dropout,
            per_image=self.per_image,
            pool=self.pool,
        )

    def _pooled_axes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) == 1:
            return ()
        return tuple(range(len(_layout(shape)[0])))

    def _check(self) -> None:
        super()._check()
        strengths(self.augment)
        if self.width < 1 or self.blocks < 1 or not 0 <= self.dropout < 1:
            raise InvalidInput(
                "width and blocks must be 1 or more and dropout from 0 to below 1; "
                f"got {self.width}, {self.blocks} and {self.dropout}"
            )
        # Without a shape yet, the images are not known.
        shortest = None if self.shape is None else min(_layout(self.shape)[0])
        if self.pool < 1 or (shortest is not None and self.pool > shortest):
            raise InvalidInput(
                f"pool must be from 1 to the shortest side of the images, {shortest}; "
                f"got {self.pool}"
            )
        if self.norm not in NORMALISATIONS:
            raise InvalidInput(f"norm {self.norm!r} is unknown; known: {', '.join(NORMALISATIONS)}")

    def _augmented(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        shape = tuple(inputs.shape[1:])
        space, _ = _layout(shape)
        # What 'auto' chooses is for pictures; the columns of a table have no neighbours.
        if len(space) == 1:
            return inputs
        channels_last = len(shape) > len(space)
        images = augment(_channels_first(inputs, channels_last), strengths(self.augment), generator)
        return images.movedim(1, -1).contiguous() if channels_last else images.squeeze(1)


@dataclass(kw_only=True, eq=False, repr=False)
class ResidualClassifier(_ResidualNetwork, NetworkClassifier):
    """A residual convolutional network that tells classes of images apart.

    Args:
        width: channels of the first stage.
        blocks: residual blocks of each stage.
        norm: ``batch`` normalisation, or ``group``, which is the same on one worker and several.
        dropout: share of the last features set to zero while learning.
        per_image: bring each image to mean 0 and deviation 1 by itself, which makes the answers
            independent of exposure; not for images whose absolute intensities tell something.
        pool: first average blocks of so many pixels a side, for images whose finest detail tells
            of the device rather than of what is seen; it also saves time.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class ResidualRegressor(_ResidualNetwork, NetworkRegressor):
    """A residual convolutional network that gives values of images.

    Args:
        width: channels of the first stage.
        blocks: residual blocks of each stage.
        norm: ``batch`` normalisation, or ``group``, which is the same on one worker and several.
        dropout: share of the last features set to zero while learning.
        per_image: bring each image to mean 0 and deviation 1 by itself, which makes the answers
            independent of exposure; not for images whose absolute intensities tell something.
        pool: first average blocks of so many pixels a side, for images whose finest detail tells
            of the device rather than of what is seen; it also saves time.
    """
