"""Images that look alike across the two sides of a split: found by fingerprint, then compared."""

import numpy as np
from numpy.typing import NDArray

from lepton_ai.data.geometry import space_axes
from lepton_ai.data.images.fingerprint import near_duplicates
from lepton_ai.data.images.imageset import Image, ImageSet
from lepton_ai.data.split_report import NearDuplicate
from lepton_ai.data.transforms import Channels, Resize, apply_transforms

__all__ = ["look_alikes"]

# Perceptual hashes of different chest X-rays of 28 x 28 pixels may agree in 62 of 64 bits, so
# pairs that are that close are decoded and compared.
_BITS = 2
_CORRELATION = 0.95
_COMPARED = 100
_SIDES = {2: (32, 32), 3: (16, 32, 32)}


def look_alikes(images: ImageSet, test: NDArray[np.bool_]) -> tuple[tuple[NearDuplicate, ...], int]:
    """Return pairs across the sides that look alike, and how many more were not compared.

    Two images look alike if their fingerprints differ in at most 2 of 64 bits and their pixels,
    in grey and at 32 x 32, correlate by 0.95 or more.

    Args:
        images: the whole set.
        test: bool array (n,), true for the test side.
    """
    fingerprints = [entry.fingerprint for entry in images.entries]
    known = np.flatnonzero(np.array(fingerprints, dtype=np.uint64))  # 0: without structure
    links = known[near_duplicates([fingerprints[place] for place in known], _BITS)]
    across = links[test[links[:, 0]] != test[links[:, 1]]] if len(links) else links
    pairs = []
    for one, other in across[:_COMPARED].tolist():
        first, second = (other, one) if test[one] else (one, other)
        correlation = _correlation(images[first], images[second])
        if correlation >= _CORRELATION:
            pairs.append(NearDuplicate(images[first].id, images[second].id, correlation))
    return tuple(pairs), max(0, len(across) - _COMPARED)


def _correlation(one: Image, other: Image) -> float:
    first, second = _small(one), _small(other)
    if first.shape != second.shape or first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def _small(image: Image) -> NDArray[np.float32]:
    pixels = image.pixels
    axes = space_axes(pixels, image.meta)
    return apply_transforms([Channels(1), Resize(_SIDES[len(axes)])], pixels, image.meta)
