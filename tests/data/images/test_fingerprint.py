"""Digests and perceptual hashes: equal images, alike images, other images."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lepton_ai.data.images.fingerprint import (
    coefficients,
    combine_digests,
    fingerprint,
    near_duplicates,
    pixel_digest,
    plane_digests,
)

NUMBERS = np.random.default_rng(0)


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    numbers = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    waves = [numbers.normal() * np.cos(np.pi * (i * y + j * x)) for i in range(4) for j in range(4)]
    return (sum(waves) * 500 + 2000).astype(np.int16)


def bits(one: np.ndarray, other: np.ndarray) -> int:
    return (fingerprint(coefficients(one)) ^ fingerprint(coefficients(other))).bit_count()


def test_digest_is_that_of_its_description() -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    planes = b"".join(hashlib.sha256(plane.astype("<i2").tobytes()).digest() for plane in array)
    expected = hashlib.sha256(b"[2, 3, 4] int16\n" + planes).hexdigest()
    assert pixel_digest(array) == expected
    assert pixel_digest(np.asfortranarray(array)) == expected
    assert combine_digests((2, 3, 4), "int16", plane_digests(array, 1)) == expected


def test_digest_tells_shape_and_type_apart() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(4, 6)
    others = [array.reshape(6, 4), array.view(np.int8), array + 1, array.reshape(1, 4, 6)]
    assert len({pixel_digest(each) for each in [array, *others]}) == 5
    colour = np.zeros((4, 6, 3), np.uint8)
    assert len(plane_digests(colour, 3)) == 1
    assert len(plane_digests(colour, 1)) == 4


@pytest.mark.parametrize("shape", [(512, 512), (500, 333), (28, 28), (20, 300), (1, 1), (129, 7)])
def test_alike_images_differ_in_few_bits(shape: tuple[int, int]) -> None:
    image = smooth(*shape)
    assert bits(image, image * 2 + 100) <= 1  # contrast and brightness
    if min(shape) < 20:
        return
    assert bits(image, image + NUMBERS.normal(0, 10, shape)) <= 4
    assert bits(image, np.kron(image, np.ones((2, 2)))) <= 6
    assert bits(image, smooth(*shape, seed=1)) > 15


def test_kinds_of_pixels_do_not_matter() -> None:
    image = smooth(64, 64)
    expected = fingerprint(coefficients(image))
    assert fingerprint(coefficients(image.astype(np.float64))) == expected
    assert fingerprint(coefficients(np.stack([image] * 3, axis=-1), 3)) == expected
    assert fingerprint(coefficients(np.stack([image] * 5))) == expected
    broken = image.astype(np.float32)
    broken[3, 3] = np.nan
    broken[4, 4] = np.inf
    assert bits(image, broken) <= 2


def test_coefficients_of_a_volume_are_the_mean_of_its_slices() -> None:
    volume = np.stack([smooth(40, 50, seed) for seed in range(4)])
    mean = np.mean([coefficients(plane) for plane in volume], axis=0)
    np.testing.assert_allclose(coefficients(volume), mean, rtol=1e-4, atol=1e-2)
    assert fingerprint(coefficients(volume)) == fingerprint(mean.astype(np.float32))


def test_empty_image_has_no_fingerprint() -> None:
    assert fingerprint(coefficients(np.full((64, 64), 1000, np.uint16))) == 0
    assert fingerprint(coefficients(np.zeros((64, 64), np.uint8))) == 0


def groups(count: int, pairs: np.ndarray) -> np.ndarray:
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (count, count))
    return connected_components(graph, directed=False)[1]


@pytest.mark.parametrize("distance", [0, 1, 2, 3, 5, 8])
def test_near_duplicates_are_those_of_comparing_all(distance: int) -> None:
    centres = NUMBERS.integers(0, 2**63, 60, dtype=np.uint64)
    hashes = [int(value) for value in centres]
    for value in centres.tolist():
        for _ in range(3):
            flips = NUMBERS.choice(64, NUMBERS.integers(0, 7), replace=False)
            hashes.append(value ^ sum(1 << int(place) for place in flips))
    hashes += hashes[:10]
    pairs = near_duplicates(hashes, distance)
    array = np.array(hashes, dtype=np.uint64)
    apart = np.bitwise_count(array[:, None] ^ array[None])
    one, other = np.nonzero(np.triu(apart <= distance, 1))
    expected = groups(len(hashes), np.stack([one, other], axis=1))
    np.testing.assert_array_equal(groups(len(hashes), pairs), expected)
    assert (apart[pairs[:, 0], pairs[:, 1]] <= distance).all()
    assert (pairs[:, 0] < pairs[:, 1]).all()


def test_many_equal_images_give_few_links() -> None:
    assert len(near_duplicates([7] * 1000)) == 999
    assert near_duplicates([]).shape == (0, 2)
    assert near_duplicates([1]).shape == (0, 2)


def test_real_radiographs(datasets: Path) -> None:
    with np.load(datasets / "medical/pneumoniamnist/pneumoniamnist.npz") as archive:
        images = archive["val_images"]
    twins = np.concatenate([images, np.clip(images[:20].astype(int) + 6, 0, 255).astype(np.uint8)])
    hashes = [fingerprint(coefficients(image)) for image in twins]
    found = set(map(tuple, near_duplicates(hashes, 2).tolist()))
    assert sum((place, 524 + place) in found for place in range(20)) >= 18
    # Other children's chests are seldom so alike: so few links are wrong or true twins.
    assert len(found) < 30
