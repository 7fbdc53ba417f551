import pytest
import torch

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.augmentation import AUGMENTATIONS, AUTO, augment, strengths


def generator(seed: int = 0) -> "torch.Generator":
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("shape", [(6, 1, 9, 12), (6, 3, 8, 8), (6, 1, 5, 6, 7)])
def test_each_changes_images_by_chance_of_its_own(name: str, shape: tuple[int, ...]) -> None:
    images = torch.randn(shape, generator=generator(1))
    strength = {"rotate": 20.0}.get(name, 0.5)
    changed = augment(images, {name: strength}, generator())
    assert changed.shape == images.shape
    assert torch.isfinite(changed).all()
    assert not torch.equal(changed, images)
    assert torch.equal(changed, augment(images, {name: strength}, generator()))
    assert torch.equal(augment(images, {name: 0.0}, generator()), images)


def bright_spot(row: int, column: int) -> "torch.Tensor":
    image = torch.zeros(1, 1, 11, 15)
    image[0, 0, row, column] = 1.0
    return image


def centre(image: "torch.Tensor") -> tuple[float, float]:
    plane = image[0, 0] / image.sum()
    rows, columns = plane.sum(dim=1), plane.sum(dim=0)
    return float(rows @ torch.arange(11.0)), float(columns @ torch.arange(15.0))


def test_a_turn_keeps_distances_on_an_oblong_image() -> None:
    moved = set()
    for seed in range(20):
        row, column = centre(augment(bright_spot(5, 11), {"rotate": 40.0}, generator(seed)))
        # Four pixels from the middle it started, in pixels of equal size it stays.
        assert ((row - 5) ** 2 + (column - 7) ** 2) ** 0.5 == pytest.approx(4, abs=0.25)
        moved.add(round(row))
    assert len(moved) > 2


def test_a_shift_is_a_share_of_the_side() -> None:
    for seed in range(20):
        row, column = centre(augment(bright_spot(5, 7), {"shift": 0.2}, generator(seed)))
        assert abs(row - 5) <= 0.2 * 11 + 0.01
        assert abs(column - 7) <= 0.2 * 15 + 0.01


def test_mirrored_images_are_about_as_many_as_asked_for() -> None:
    images = torch.arange(6.0).repeat(2000, 1, 1, 1)
    changed = augment(images, {"flip": 0.25}, generator())
    mirrored = (changed[:, 0, 0, 0] == 5).sum()
    assert 430 < mirrored < 570


def test_gamma_keeps_the_darkest_and_the_brightest() -> None:
    images = torch.randn(5, 1, 8, 8, generator=generator(3))
    changed = augment(images, {"gamma": 0.8}, generator())
    for reduced in (torch.amin, torch.amax):
        torch.testing.assert_close(reduced(changed, (1, 2, 3)), reduced(images, (1, 2, 3)))


def test_auto_is_a_choice_of_the_table() -> None:
    assert strengths("auto") == AUTO
    assert set(AUTO) <= set(AUGMENTATIONS)
    assert strengths(None) == {}


@pytest.mark.parametrize("wanted", ["all", {"melt": 1.0}, {"shift": -1.0}, {"shift": float("nan")}])
def test_an_unknown_augmentation_is_refused(wanted: object) -> None:
    with pytest.raises(InvalidInput):
        strengths(wanted)  # type: ignore[arg-type]
