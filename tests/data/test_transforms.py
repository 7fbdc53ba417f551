"""Transforms against scikit-image, SciPy, SimpleITK, Pillow and values checked by hand."""

import msgspec
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its users all call it so
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from scipy import ndimage
from skimage import data as samples
from skimage.restoration import denoise_nl_means
from skimage.transform import resize

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.denoising import _noise
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.transforms import (
    Channels,
    CropOrPad,
    Gaussian,
    Median,
    NonLocalMeans,
    Normalise,
    Resample,
    Rescale,
    Resize,
    Transform,
    Window,
    apply_transforms,
    transforms_from,
)


def meta_of(array, **known):
    return ImageMeta(shape=array.shape, dtype=str(array.dtype), **known)


def run(transform, array, **known):
    return apply_transforms([transform], array, meta_of(array, **known))


@pytest.fixture
def volume():
    return np.random.default_rng(0).normal(100, 20, (7, 12, 9)).astype(np.float32)


def test_window_in_hounsfield_units_by_hand():
    ct = np.array([[-2000, -1350, -600], [150, 900, -975]], dtype=np.int16)
    np.testing.assert_allclose(
        run(Window(-600, 1500), ct), [[0, 0, 0.5], [1, 1, 0.25]], rtol=0, atol=1e-7
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_rescale_uses_the_range_of_the_files_pixels(dtype):
    limits = np.iinfo(dtype)
    assert run(Rescale(), np.array([[limits.min, limits.max]], dtype)).tolist() == [[0, 1]]


def test_rescale_refuses_floats_without_a_range():
    with pytest.raises(InvalidInput, match="float32 have no range"):
        run(Rescale(), np.ones((2, 2), np.float32))
    assert run(Rescale(-1, 3), np.ones((2, 2), np.float32))[0, 0] == 0.5


def test_normalise_by_hand():
    image = np.array([[0, 10], [20, 50]], np.uint8)
    np.testing.assert_allclose(run(Normalise("min-max"), image), [[0, 0.2], [0.4, 1]], atol=1e-7)
    z = run(Normalise("z-score"), image)
    np.testing.assert_allclose(z, (image - 20.0) / np.sqrt(350), rtol=1e-6)
    # Linear percentiles of 0..100 are the values themselves.
    ramp = np.arange(101, dtype=np.float32).reshape(1, 101)
    scaled = run(Normalise("percentile", 10, 90), ramp)[0]
    np.testing.assert_allclose(scaled[[0, 10, 50, 90, 100]], [0, 0, 0.5, 1, 1], atol=1e-6)


@pytest.mark.parametrize("method", ["min-max", "percentile", "z-score"])
@pytest.mark.parametrize("value", [0, 0.1, 7e5])
def test_an_image_of_one_value_becomes_zero(method, value):
    assert not run(Normalise(method), np.full((5, 4), value, np.float32)).any()


def test_colours_are_normalised_together():
    photo = samples.astronaut()[:64, :64]
    scaled = run(Normalise("min-max"), photo, channels=3)
    low, high = int(photo.min()), int(photo.max())
    np.testing.assert_allclose(scaled, (photo.astype(float) - low) / (high - low), atol=1e-6)


def test_grey_is_pillows_luma():
    photo = samples.astronaut()[::8, ::8]
    grey = run(Channels(1), photo, channels=3)
    expected = np.asarray(PillowImage.fromarray(photo).convert("L"), dtype=float)
    assert grey.shape == photo.shape[:2]
    assert np.abs(grey - expected).max() <= 1  # Pillow rounds to whole numbers
    assert run(Channels(3), photo[..., 0]).shape == photo.shape


def test_gaussian_in_pixels_is_scipys(volume):
    expected = ndimage.gaussian_filter(volume.astype(np.float64), 0.8, mode="nearest")
    np.testing.assert_allclose(run(Gaussian(0.8), volume), expected, rtol=1e-5)


def test_gaussian_is_equally_wide_in_mm_as_simpleitks(volume):
    spacing = (4.0, 1.0, 2.0)  # z, y, x
    image = sitk.GetImageFromArray(volume.astype(np.float64))
    image.SetSpacing(spacing[::-1])
    theirs = sitk.SmoothingRecursiveGaussian(image, 2.0)
    ours = run(Gaussian(2.0), volume, spacing=spacing)
    # Theirs approximates the Gaussian by a recursive filter.
    assert np.abs(ours - sitk.GetArrayFromImage(theirs)).max() < 0.05 * volume.std()


def test_median_is_simpleitks(volume):
    theirs = sitk.GetArrayFromImage(sitk.Median(sitk.GetImageFromArray(volume), (1, 1, 1)))
    np.testing.assert_array_equal(run(Median(3), volume), theirs)


def test_filters_and_sizes_leave_time_and_colour_apart(volume):
    film = np.stack([volume, volume[::-1]])
    colour = np.stack([volume, volume * 2, volume[::-1]], axis=-1)
    for transform in (Gaussian(1), Median(3), Resize((5, 6, 4)), NonLocalMeans()):
        each = run(transform, film)
        for index in range(2):
            np.testing.assert_array_equal(each[index], run(transform, film[index]))
    for transform in (Gaussian(1), Median(3), Resize((5, 6, 4)), CropOrPad((9, 9, 9))):
        each = run(transform, colour, channels=3)
        assert each.shape[-1] == 3
        if not isinstance(transform, CropOrPad):
            np.testing.assert_allclose(each[..., 1], run(transform, colour[..., 1]), rtol=1e-6)


def test_non_local_means_is_scikit_images_and_takes_noise_out():
    clean = samples.camera()[100:228, 150:278].astype(np.float32)
    noisy = clean + np.random.default_rng(1).normal(0, 12, clean.shape).astype(np.float32)
    ours = run(NonLocalMeans(0.8), noisy)
    error = np.sqrt(np.mean((ours - clean) ** 2))
    assert error < 0.75 * 12
    theirs = denoise_nl_means(
        noisy, patch_size=5, patch_distance=6, h=0.8 * 12, sigma=12, fast_mode=True
    )
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 2  # they were told the noise: 12


def test_measured_noise_agrees_with_the_truth():
    flat = np.random.default_rng(2).normal(50, 3, (4, 64, 64)).astype(np.float32)
    assert _noise(flat, colour=False) == pytest.approx(3, rel=0.05)
    assert _noise(np.zeros((8, 8), np.float32), colour=False) == 0


@pytest.mark.parametrize("shape", [(14, 14), (60, 28), (5, 17), (28, 28)])
def test_resize_is_scikit_images(shape):
    image = samples.camera()[::18, ::18][:28, :28].astype(np.float32)
    theirs = resize(image, shape, order=1, mode="edge", anti_aliasing=True, preserve_range=True)
    np.testing.assert_allclose(run(Resize(shape), image), theirs, atol=1e-2)


def test_resize_in_three_dimensions_is_scikit_images(volume):
    theirs = resize(volume, (4, 20, 9), order=1, mode="edge", anti_aliasing=True)
    np.testing.assert_allclose(run(Resize((4, 20, 9)), volume), theirs, rtol=1e-4)


@pytest.mark.parametrize("target", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.7), (1.2, 0.4, 3.0)])
def test_resample_is_simpleitks_on_the_same_grid(volume, target):
    spacing = (2.0, 1.0, 0.7)
    ours = run(Resample(target), volume, spacing=spacing)
    factors = np.array(target) / spacing
    blurred = ndimage.gaussian_filter(
        volume.astype(np.float64), np.maximum(0, (factors - 1) / 2), mode="nearest"
    )
    source = sitk.GetImageFromArray(blurred)
    source.SetSpacing(spacing[::-1])
    expected = np.round(np.array(volume.shape) / factors).astype(int)
    assert ours.shape == tuple(expected)
    # Same centre: the first pixel of the new grid lies this far (in mm) from the old one.
    origin = ((np.array(volume.shape) - 1) * spacing - (expected - 1) * np.array(target)) / 2
    theirs = sitk.GetArrayFromImage(
        sitk.Resample(
            source,
            expected[::-1].tolist(),
            sitk.Transform(),
            sitk.sitkLinear,
            origin[::-1].tolist(),
            target[::-1],
        )
    )
    inside = tuple(slice(1, -1) for _ in range(3))  # theirs is 0 beyond the edge
    np.testing.assert_allclose(ours[inside], theirs[inside], rtol=1e-4)


def test_resample_needs_a_spacing():
    with pytest.raises(InvalidInput, match="no spacing in mm"):
        run(Resample((1.0,)), np.ones((4, 4)))


def test_geometry_passes_the_new_spacing_on(volume):
    # 7 x 12 x 9 pixels of 2 x 1 x 1 mm; halving the pixels doubles their spacing.
    meta = meta_of(volume, spacing=(2.0, 1.0, 1.0))
    resized, after = Resize((7, 6, 3)).apply(volume, meta)
    assert after.spacing == (2.0, 2.0, 3.0)
    assert resized.shape == after.shape == (7, 6, 3)
    twice = apply_transforms([Resize((7, 6, 3)), Resample((2.0,))], volume, meta)
    assert twice.shape == (7, 6, 4)  # 9 mm in steps of 2 mm, rounded to even


def test_keep_aspect_fills_with_the_lowest_value():
    image = np.full((10, 20), 5, np.float32)
    image[0, 0] = -3
    framed = run(Resize((20, 20), keep_aspect=True), image)
    assert framed.shape == (20, 20)
    assert (framed[:5] == framed.min()).all()
    assert (framed[15:] == framed.min()).all()
    assert (framed[8:15] == 5).all()
    # 20 pixels of 1 mm by 10 pixels of 2 mm are a square.
    square = np.arange(200, dtype=np.float32).reshape(20, 10)
    whole = run(Resize((20, 20), keep_aspect=True), square, spacing=(1.0, 2.0))
    np.testing.assert_array_equal(whole, run(Resize((20, 20)), square))


def test_crop_or_pad_keeps_the_centre():
    line = np.arange(1, 6, dtype=np.float32)[None].repeat(5, axis=0)
    assert run(CropOrPad((3, 3)), line)[0].tolist() == [2, 3, 4]
    assert run(CropOrPad((5, 7)), line)[0].tolist() == [1, 1, 2, 3, 4, 5, 1]


def test_pixels_that_are_not_finite_take_the_lowest_value():
    image = np.array([[np.nan, 2], [np.inf, 4]])
    assert apply_transforms([], image, meta_of(image)).tolist() == [[2, 2], [2, 4]]
    empty = np.full((2, 2), np.nan)
    assert not apply_transforms([], empty, meta_of(empty)).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Window(0, 0), "width above 0"),
        (lambda: Rescale(1, None), "both low and high"),
        (lambda: Rescale(2, 1), "below high"),
        (lambda: Normalise("percentile", 60, 40), "lower < upper"),
        (lambda: Normalise("minmax"), "min-max, percentile or z-score; got 'minmax'"),
        (lambda: Channels(2), "1 channel or 3; got 2"),
        (lambda: Resize((2.5, 2)), "a whole number"),
        (lambda: Gaussian(0), "above 0 pixels"),
        (lambda: Median(4), "odd size"),
        (lambda: Resample((0.0,)), "above 0 mm"),
        (lambda: Resize(()), "1 pixel or more"),
        (lambda: run(Resize((2, 2)), np.ones((3, 3, 3))), "3 space axes"),
        (lambda: run(Gaussian(), np.ones(3)), "two or three space axes"),
        (lambda: run(Gaussian(), np.ones((0, 3))), "no pixels"),
        (lambda: transforms_from([{"type": "sharpen"}]), "sharpen"),
        (lambda: transforms_from([{"type": "window", "centre": 0, "width": -1}]), "width above"),
    ],
)
def test_wrong_figures_are_refused_with_a_reason(wrong, message):
    with pytest.raises(InvalidInput, match=message):
        wrong()


EVERY = (
    Channels(1),
    Gaussian(0.5),
    Median(3),
    NonLocalMeans(0.8),
    Resample((1.5, 1.5)),
    Resize((8, 8), keep_aspect=True),
    CropOrPad((6, 6)),
    Window(40, 400),
    Rescale(0, 255),
    Normalise("percentile", 1, 99),
)


@given(st.lists(st.sampled_from(EVERY), max_size=5))
def test_recorded_transforms_come_back_and_do_the_same(chosen):
    known = {"spacing": (0.7, 0.7), "channels": 3}
    image = samples.astronaut()[100:120, 200:230]
    meta = meta_of(image, **known)
    back = transforms_from(msgspec.json.decode(msgspec.json.encode(chosen)))
    assert back == tuple(chosen)
    once = apply_transforms(chosen, image, meta)
    np.testing.assert_array_equal(once, apply_transforms(back, image.copy(), meta))
    assert once.dtype == np.float32
    assert np.isfinite(once).all()


def test_every_transform_is_tried():
    assert {type(transform) for transform in EVERY} == set(Transform.__args__)


def test_the_original_is_left_alone(volume):
    kept = volume.copy()
    volume.setflags(write=False)
    for transform in (Gaussian(), Median(), Normalise("min-max"), CropOrPad((3, 3, 3))):
        run(transform, volume)
    np.testing.assert_array_equal(volume, kept)
