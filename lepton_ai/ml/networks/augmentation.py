"""Random changes of images while a network learns: small moves and changes of intensity; a leaf.

Each takes images (rows, channels, \\*space), a strength and a generator, and changes every image
by chance of its own. Images are standardised: an intensity of 1 is one standard deviation.
"""

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


def _identity(images: Tensor) -> Tensor:
    axes = images.ndim - 2
    return torch.eye(axes).repeat(len(images), 1, 1)


def _resample(images: Tensor, linear: Tensor, offset: Tensor) -> Tensor:
    """Read each image at moved places; what lies outside takes the border's value.

    Args:
        images: (rows, channels, \\*space).
        linear: (rows, axes, axes), in pixels, last axis of the image first.
        offset: (rows, axes), in shares of each axis.
    """
    sizes = torch.tensor(images.shape[:1:-1], dtype=torch.float32)
    # The grid runs from -1 to 1 on every axis, so that a turn in pixels is a shear there.
    relative = linear * (sizes[None, :] / sizes[:, None])
    matrix = torch.cat([relative, 2 * offset[:, :, None]], dim=2)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _shift(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Move by up to a share of each side."""
    axes = images.ndim - 2
    offset = _uniform(len(images) * axes, strength, generator).view(-1, axes)
    return _resample(images, _identity(images), offset)


def _rotate(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Turn by up to so many degrees, in each plane of a volume."""
    linear = _identity(images)
    axes = images.ndim - 2
    for first in range(axes):
        for second in range(first + 1, axes):
            angle = _uniform(len(images), math.radians(strength), generator)
            turn = _identity(images)
            turn[:, first, first] = turn[:, second, second] = angle.cos()
            turn[:, first, second], turn[:, second, first] = -angle.sin(), angle.sin()
            linear = linear @ turn
    return _resample(images, linear, torch.zeros(len(images), axes))


def _scale(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Make larger or smaller by up to a share."""
    factor = 1 + _uniform(len(images), strength, generator)
    linear = _identity(images) * factor.view(-1, 1, 1)
    return _resample(images, linear, torch.zeros(len(images), images.ndim - 2))


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


AUGMENTATIONS: dict[str, Callable[[Tensor, float, Generator], Tensor]] = {
    "shift": _shift,
    "rotate": _rotate,
    "scale": _scale,
    "flip": _flip,
    "brightness": _brightness,
    "contrast": _contrast,
    "gamma": _gamma,
    "noise": _noise,
    "erase": _erase,
}

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
    """Change each image by every chosen augmentation, in the order of the table."""
    for name, change in AUGMENTATIONS.items():
        if chosen.get(name):
            images = change(images, chosen[name], generator)
    return images
