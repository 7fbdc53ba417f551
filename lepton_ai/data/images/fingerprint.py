"""Digests of pixels (are two images the same?) and perceptual hashes (are they alike?)."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "coefficients",
    "combine_digests",
    "fingerprint",
    "near_duplicates",
    "pixel_digest",
    "plane_digests",
]

_SIDE = 32
_KEPT = 8
_FEW = 128  # rows: so few are not worth averaging first


@lru_cache(maxsize=256)
def _blocks(size: int) -> tuple[tuple[int, int], ...]:
    """Part a side into 32 blocks; a shorter side is repeated."""
    starts = [place * size // _SIDE for place in range(_SIDE)]
    return tuple(
        (start, max(start + 1, (place + 1) * size // _SIDE)) for place, start in enumerate(starts)
    )


@lru_cache(maxsize=256)
def _projection(size: int) -> NDArray[np.float32]:
    """Return the (8, size) matrix that takes means over the 32 blocks of a side, and then the
    eight lowest frequencies of those (rows of the orthonormal DCT-II).
    """
    means = np.zeros((_SIDE, size))
    for row, (start, stop) in zip(means, _blocks(size), strict=True):
        row[start:stop] = 1 / (stop - start)
    angles = np.pi / _SIDE * (np.arange(_SIDE) + 0.5) * np.arange(_KEPT)[:, None]
    matrix: NDArray[np.float32] = (np.cos(angles) * np.sqrt(2 / _SIDE) @ means).astype(np.float32)
    return matrix


def _rows(plane: NDArray[Any]) -> NDArray[np.float32]:
    """Return the (32, x) means over blocks of rows."""
    height = plane.shape[0]
    if height % _SIDE == 0:
        blocks = plane.reshape(_SIDE, height // _SIDE, -1)
        means: NDArray[np.float32] = blocks.mean(axis=1, dtype=np.float32)
        return means
    return np.stack(
        [plane[start:stop].mean(axis=0, dtype=np.float32) for start, stop in _blocks(height)]
    )


def planes(array: NDArray[Any], channels: int) -> NDArray[Any]:
    """Return a view of an image as (n, y, x) planes, or (n, y, x, 3) for colour."""
    tail = array.shape[-3:] if channels == 3 else array.shape[-2:]
    return array.reshape(-1, *tail)


def plane_digests(array: NDArray[Any], channels: int) -> list[bytes]:
    """Return the sha256 of each plane of an image, in little-endian C order."""
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return [hashlib.sha256(plane.data).digest() for plane in planes(little, channels)]


def combine_digests(shape: Sequence[int], dtype: str, digests: Iterable[bytes]) -> str:
    """Return the digest of an image from those of its planes.

    It is the sha256, in hexadecimal, of a line with shape and dtype and then the sha256 of
    each plane: so slices that come from different files are hashed apart, in parallel.
    """
    whole = hashlib.sha256(f"{list(map(int, shape))} {dtype}\n".encode())
    for digest in digests:
        whole.update(digest)
    return whole.hexdigest()


def pixel_digest(array: NDArray[Any], channels: int = 1) -> str:
    """Return the digest of an image's shape, dtype and pixels."""
    return combine_digests(array.shape, array.dtype.name, plane_digests(array, channels))


def coefficients(array: NDArray[Any], channels: int = 1) -> NDArray[np.float32]:
    """Return the 8 x 8 lowest frequencies of an image, averaged over its planes and colours.

    They are linear in the pixels, so the mean over slices is that of the whole volume.
    """
    total = np.zeros((_KEPT, _KEPT), np.float32)
    stack = planes(array, channels)
    for plane in stack:
        grey = plane.mean(axis=-1, dtype=np.float32) if channels == 3 else plane
        if array.dtype.kind == "f":
            # One pixel that is not finite would spread over all frequencies.
            grey = np.nan_to_num(grey.astype(np.float32), posinf=0.0, neginf=0.0)
        height, width = grey.shape
        rows = _rows(grey) if height > _FEW else grey.astype(np.float32, copy=False)
        # Not the matrix product: its library's own threads would fight with ours.
        low = np.einsum("fy,yx->fx", _projection(len(rows)), rows)
        total += np.einsum("fx,gx->fg", low, _projection(width))
    return total / np.float32(max(len(stack), 1))


def fingerprint(coefficients: NDArray[np.float32]) -> int:
    """Return the 64-bit perceptual hash of an image from its low frequencies.

    One bit for each frequency, set where it is above the median: alike images differ in few
    bits, whatever their size, brightness and contrast (the pHash of Zauner, 2010). An image
    without structure gives 0.
    """
    values = coefficients.astype(np.float64).ravel()
    values[0] = 0.0  # brightness
    spread = np.abs(values).max()
    if not spread > 1e-6 * max(1.0, abs(float(coefficients.flat[0]))):
        return 0
    # Rounding keeps the last bits of float sums, which differ between machines, out of it.
    rounded = np.round(values / spread, 4)
    # NumPy's own median takes longer than the rest of this function.
    half = len(rounded) // 2
    low, high = np.partition(rounded, (half - 1, half))[half - 1 : half + 1]
    bits = rounded > (low + high) / 2
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_duplicates(
    fingerprints: Sequence[int] | NDArray[np.uint64], distance: int = 2
) -> NDArray[np.int64]:
    """Find images whose perceptual hashes differ in few bits.

    Equal hashes are linked to their first image only, so a thousand equal images give 999
    links, not half a million: what is complete is the connected components.

    Args:
        fingerprints: one 64-bit hash for each image.
        distance: how many bits may differ, 0 to 8.

    Returns:
        int64 array (m, 2) of index pairs, the lower first. Their connected components are
        the groups of near duplicates.
    """
    hashes = np.asarray(fingerprints, dtype=np.uint64)
    unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    everyone = np.arange(len(hashes))
    repeated = first[inverse] != everyone
    links = [np.stack([first[inverse][repeated], everyone[repeated]], axis=1)]
    # Two hashes that differ in d bits agree in one of any d + 1 bands (pigeonhole), so only
    # those that share a band are compared.
    edges = np.linspace(0, 64, distance + 2).astype(np.uint64)
    for low, high in pairwise(edges):
        band = (unique >> low) & np.uint64((1 << int(high - low)) - 1 if distance else 0)
        if not distance:
            break
        order = np.argsort(band, kind="stable")
        cuts = np.flatnonzero(np.diff(band[order])) + 1
        for bucket in np.split(order, cuts):
            links.extend(_close(unique, first, bucket, distance))
    pairs = np.sort(np.concatenate(links), axis=1)
    return np.unique(pairs, axis=0).astype(np.int64)


def _close(
    unique: NDArray[np.uint64], first: NDArray[np.intp], bucket: NDArray[np.intp], distance: int
) -> Iterable[NDArray[np.intp]]:
    """Yield the close pairs of one bucket, a row of comparisons at a time."""
    for place in range(len(bucket) - 1):
        others = bucket[place + 1 :]
        bits = np.bitwise_count(unique[bucket[place]] ^ unique[others])
        near = others[bits <= distance]
        if len(near):
            yield np.stack([np.full(len(near), first[bucket[place]]), first[near]], axis=1)
