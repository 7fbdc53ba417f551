"""Random changes of images while a network learns: small moves and changes of intensity; a leaf.

Moves are composed into one map, so that an image is resampled (and a little blurred) once. Images
are (rows, channels, \\*space) and standardised: an intensity of 1 is one standard deviation. Every
image is changed by chance of its own.
"""

import functools
import math
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor
from torch.nn import functional

from lepton_ai.core.errors import InvalidInput

__all__ = ["AUGMENTATIONS", "AUTO", "augment", "strengths"]


def _uniform(rows: int, reach: float, generator: Generator) -> Tensor:
    """Draw one number a row between -reach and reach."""
    return (torch.rand(rows, generator=generator) * 2 - 1) * reach


def _each(values: Tensor, images: Tensor) -> Tensor:
    return values.view(-1, *[1] * (images.ndim - 1))


def _identity(rows: int, axes: int) -> Tensor:
    return torch.eye(axes + 1).repeat(rows, 1, 1)


def _shift(sizes: Tensor, rows: int, strength: float, generator: Generator) -> Tensor:
    """Move by up to a share of each side."""
    axes = len(sizes)
    moved = _identity(rows, axes)
    moved[:, :axes, axes] = _uniform(rows * axes, strength, generator).view(rows, axes) * sizes
    return moved


def _rotate(sizes: Tensor, rows: int, strength: float, generator: Generator) -> Tensor:
    """Turn by up to so many degrees, in each plane of a volume."""
    axes = len(sizes)
    turned = _identity(rows, axes)
    for first in range(axes):
        for second in range(first + 1, axes):
            angle = _uniform(rows, math.radians(strength), generator)
            turn = _identity(rows, axes)
            turn[:, first, first] = turn[:, second, second] = angle.cos()
            turn[:, first, second], turn[:, second, first] = -angle.sin(), angle.sin()
            turned = turned @ turn
    return turned


def _scale(sizes: Tensor, rows: int, strength: float, generator: Generator) -> Tensor:
    """Make larger or smaller by up to a share."""
    axes = len(sizes)
    scaled = _identity(rows, axes)
    scaled[:, range(axes), range(axes)] += _uniform(rows, strength, generator)[:, None]
    return scaled


def _resample(images: Tensor, moves: Tensor) -> Tensor:
    """Read each image at moved places; what lies outside takes the border's value.

    Args:
        images: (rows, channels, \\*space).
        moves: (rows, axes + 1, axes + 1), affine maps about the middle in pixels, the last axis
            of the image first.
    """
    sizes = torch.tensor(images.shape[:1:-1], dtype=torch.float32)
    axes = len(sizes)
    # The grid runs from -1 to 1 on every axis, so that a turn in pixels is a shear there.
    linear = moves[:, :axes, :axes] * (sizes[None, :] / sizes[:, None])
    offset = moves[:, :axes, axes:] * 2 / sizes[:, None]
    grid = functional.affine_grid(
        torch.cat([linear, offset], dim=2), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _flip(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Mirror left and right, with the given probability."""
    mirrored = _each(torch.rand(len(images), generator=generator) < strength, images)
    return torch.where(mirrored, images.flip(-1), images)


def _brightness(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Add up to so many standard deviations."""
    return images + _each(_uniform(len(images), strength, generator), images)


def _contrast(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Stretch about the image's mean by up to a share."""
    mean = images.mean(dim=tuple(range(1, images.ndim)), keepdim=True)
    return mean + (images - mean) * _each(1 + _uniform(len(images), strength, generator), images)


def _gamma(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Bend the intensities between the image's darkest and brightest by a power."""
    low = images.amin(dim=tuple(range(1, images.ndim)), keepdim=True)
    span = (images.amax(dim=tuple(range(1, images.ndim)), keepdim=True) - low).clamp_min(1e-6)
    power = _each(_uniform(len(images), strength, generator).exp(), images)
    return low + span * ((images - low) / span).pow(power)


def _noise(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Add normal noise of up to so many standard deviations."""
    level = _each(torch.rand(len(images), generator=generator) * strength, images)
    return images + level * torch.randn(images.shape, generator=generator)


def _erase(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Put the mean in a box of up to a share of each side (Zhong et al., 2020)."""
    inside = torch.ones(len(images), *images.shape[2:], dtype=torch.bool)
    for axis, size in enumerate(images.shape[2:]):
        length = torch.rand(len(images), generator=generator) * strength * size
        start = torch.rand(len(images), generator=generator) * (size - length)
        places = torch.arange(size)
        along = (places >= start[:, None]) & (places < (start + length)[:, None])
        inside &= along.view(
            len(images), *[size if a == axis else 1 for a in range(inside.ndim - 1)]
        )
    return images.masked_fill(inside[:, None], 0.0)


# name -> (sizes, rows, strength, generator) -> affine maps (rows, axes + 1, axes + 1)
_MOVES: dict[str, Callable[[Tensor, int, float, Generator], Tensor]] = {
    "shift": _shift,
    "rotate": _rotate,
    "scale": _scale,
}
# name -> (images, strength, generator) -> images
_CHANGES: dict[str, Callable[[Tensor, float, Generator], Tensor]] = {
    "flip": _flip,
    "brightness": _brightness,
    "contrast": _contrast,
    "gamma": _gamma,
    "noise": _noise,
    "erase": _erase,
}
AUGMENTATIONS = (*_MOVES, *_CHANGES)

# Small enough for a scan of any part of a body; nothing is mirrored, since organs are not.
AUTO: Mapping[str, float] = {"shift": 0.08, "rotate": 10.0, "brightness": 0.2, "contrast": 0.2}


def strengths(wanted: str | Mapping[str, float] | None) -> Mapping[str, float]:
    """Return the strength of each augmentation that a network's parameter asks for.

    Raises:
        InvalidInput: an augmentation is unknown, or its strength is no number from 0.
    """
    if wanted is None or wanted == "auto":
        return {} if wanted is None else AUTO
    if isinstance(wanted, str) or not set(wanted) <= set(AUGMENTATIONS):
        raise InvalidInput(
            "augment must be 'auto', None or a mapping of names to strengths, such as "
            f"{dict(AUTO)}; got {wanted!r}; known: {', '.join(AUGMENTATIONS)}"
        )
    for name, strength in wanted.items():
        if not 0 <= strength < math.inf:
            raise InvalidInput(f"the strength of {name!r} must be 0 or more; got {strength!r}")
    return wanted


def augment(images: Tensor, chosen: Mapping[str, float], generator: Generator) -> Tensor:
    """Move each image, then change its intensities, by what is chosen and in the tables' order."""
    rows, sizes = len(images), torch.tensor(images.shape[:1:-1], dtype=torch.float32)
    moves = [
        move(sizes, rows, chosen[name], generator)
        for name, move in _MOVES.items()
        if chosen.get(name)
    ]
    if moves:
        images = _resample(images, functools.reduce(torch.matmul, moves))
    for name, change in _CHANGES.items():
        if chosen.get(name):
            images = change(images, chosen[name], generator)
    return images
