"""preprocess_images: what it records for which files, and what comes out of reading them."""

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage.transform import resize

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.images.image import ImageEntry, ImageMeta, Part
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.manifest import Manifest
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
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
    Window,
    apply_transforms,
)


@pytest.fixture
def of_metas(workspace):
    """Make an image set of headers alone, stored as any other."""

    def make(*metas):
        part = Part("a", "0", "0", 0)
        entries = tuple(
            ImageEntry(f"img_{place}", "dicom", (part,), meta, "0", 0)
            for place, meta in enumerate(metas)
        )
        manifest = Manifest("/", entries)
        with workspace.transaction() as transaction:
            address = transaction.put(manifest.to_json())
            node = transaction.node(
                "dataset", "headers", version=True, digest=address, holds=[address],
                facts={"format": "images", "images": len(entries)},
            )  # fmt: skip
        return ImageSet.open(workspace, node)

    return make


def meta(shape=(28, 28), dtype="int16", **known):
    return ImageMeta(shape=shape, dtype=dtype, **known)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (meta(modality="CT"), (Gaussian(0.5), Window(0, 2000))),
        (
            meta(modality="CT", attributes={"BodyPartExamined": "CHEST"}),
            (Gaussian(0.5), Window(-600, 1500)),
        ),
        (
            meta(modality="CT", attributes={"BodyPartExamined": "Head"}),
            (Gaussian(0.5), Window(40, 80)),
        ),
        (
            meta(modality="CT", attributes={"RescaleType": "US"}),  # unspecified, so not HU
            (Gaussian(0.5), Normalise("percentile", 1, 99)),
        ),
        (meta(modality="MR"), (Gaussian(0.5), Normalise("percentile", 1, 99))),
        (meta(modality="PT", dtype="float32"), (Gaussian(0.5), Normalise("percentile", 1, 99))),
        (meta(modality="CR", dtype="uint16"), (Gaussian(0.5), Normalise("min-max"))),
        (meta(modality="DX", dtype="uint8"), (Gaussian(0.5), Normalise("min-max"))),
        (meta(dtype="uint8"), (Gaussian(0.5), Normalise("min-max"))),
        (meta((9, 28, 28), "float32"), (Gaussian(0.5), Normalise("percentile", 1, 99))),
        (meta((28, 28, 3), "uint8", channels=3), (Rescale(),)),
        (meta((28, 28, 3), "uint8", channels=3, modality="US"), (Rescale(),)),
    ],
)
def test_defaults_follow_the_modality(of_metas, header, expected):
    assert preprocess_images(of_metas(header, header)).transforms == expected


def test_a_set_of_several_modalities_is_scaled_by_percentiles(of_metas):
    mixed = of_metas(meta(modality="CT"), meta(modality="MR"))
    assert preprocess_images(mixed).transforms[-1] == Normalise("percentile")
    bodies = [
        meta(modality="CT", attributes={"BodyPartExamined": part}) for part in ("CHEST", "HEAD")
    ]
    assert preprocess_images(of_metas(*bodies)).transforms[-1] == Window(0, 2000)


def test_several_shapes_get_the_median_within_limits(of_metas):
    def size(*shapes, **known):
        transforms = preprocess_images(of_metas(*(meta(shape, **known) for shape in shapes)))
        return [step.shape for step in transforms.transforms if isinstance(step, Resize)]

    assert size((28, 28), (28, 28)) == []
    assert size((20, 30), (40, 50), (30, 31)) == [(30, 31)]
    assert size((1000, 2000), (1000, 2000), (1001, 2000)) == [(112, 224)]
    assert size((10, 256, 256), (20, 256, 256)) == [(4, 64, 64)]
    assert size((20, 30, 3), (40, 50, 3), channels=3) == [(30, 40)]


def test_one_spacing_may_make_one_shape(of_metas):
    coarse = meta((10, 10), modality="DX", spacing=(2.0, 2.0))
    fine = meta((20, 20), modality="DX", spacing=(1.0, 1.0))
    same = preprocess_images(of_metas(coarse, fine), spacing=2.0)
    assert same.transforms == (Gaussian(0.5), Resample((2.0,)), Normalise("min-max"))
    other = preprocess_images(of_metas(coarse, meta((30, 20), spacing=(1.0, 1.0))), spacing=(2, 2))
    assert other.transforms[1:3] == (Resample((2.0, 2.0)), Resize((12, 10)))


def test_grey_and_colour_become_what_most_are(of_metas):
    grey, colour = meta(dtype="uint8"), meta((28, 28, 3), "uint8", channels=3)
    assert preprocess_images(of_metas(grey, grey, colour)).transforms[0] == Channels(1)
    assert preprocess_images(of_metas(grey, colour, colour)).transforms[0] == Channels(3)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"window": "bone"}, (Gaussian(0.5), Window(400, 1800))),
        ({"window": (40, 300)}, (Gaussian(0.5), Window(40, 300))),
        ({"normalise": "z-score"}, (Gaussian(0.5), Normalise("z-score"))),
        ({"normalise": "rescale", "denoise": None}, (Rescale(),)),
        ({"normalise": Rescale(0, 4095), "denoise": None}, (Rescale(0, 4095),)),
        ({"normalise": None, "denoise": "median"}, (Median(3),)),
        ({"normalise": None, "denoise": "non-local means"}, (NonLocalMeans(),)),
        ({"normalise": None, "denoise": Gaussian(2)}, (Gaussian(2),)),
        ({"normalise": None, "denoise": None, "size": 64}, (Resize((64,)),)),
        ({"normalise": None, "denoise": None, "size": (64, 32)}, (Resize((64, 32)),)),
        ({"normalise": None, "denoise": None, "crop": np.int64(20)}, (CropOrPad((20,)),)),
        ({"transforms": [Median(5)]}, (Median(5),)),
        ({"transforms": []}, ()),
    ],
)
def test_what_is_asked_for_is_recorded(of_metas, wish, expected):
    assert preprocess_images(of_metas(meta(modality="CT")), **wish).transforms == expected


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"window": "tooth"}, "window must be one of lung, mediastinum"),
        ({"window": 40}, "window must be one of"),
        ({"window": (40, 0)}, "width above 0"),
        ({"normalise": "minmax"}, "normalise must be one of auto, z-score.*got 'minmax'"),
        ({"denoise": 3}, "denoise must be a name, a transform or None; got 3"),
        ({"size": "large"}, "one for each axis"),
        ({"size": 0}, "1 pixel or more"),
        ({"spacing": 0}, "above 0 mm"),
        ({"transforms": ["median"]}, "transforms must be"),
    ],
)
def test_wrong_wishes_are_refused(of_metas, wish, message):
    with pytest.raises(InvalidInput, match=message):
        preprocess_images(of_metas(meta()), **wish)


def test_planes_and_volumes_do_not_mix(of_metas):
    with pytest.raises(InvalidInput, match=r"mixes planes \(y, x\), such as 28 x 28 and volumes"):
        preprocess_images(of_metas(meta(), meta((5, 28, 28))))
    with pytest.raises(InvalidInput, match="differ in their time steps"):
        preprocess_images(of_metas(meta((2, 5, 9, 9)), meta((3, 5, 9, 9))))


def test_calling_twice_replaces_and_leaves_the_original(of_metas):
    images = of_metas(meta(modality="MR"))
    once = preprocess_images(images)
    assert preprocess_images(once).transforms == once.transforms
    assert images.transforms == ()
    assert once.node == images.node


def test_photographs_of_several_sizes_by_hand(tmp_path, workspace):
    arrays = [np.full((10, 20, 3), 51, np.uint8), np.zeros((20, 20, 3), np.uint8)]
    arrays[1][:, 10:] = 255
    for place, array in enumerate(arrays):
        Pillow.fromarray(array).save(tmp_path / f"{place}.png")
    images = preprocess_images(read_images(tmp_path, name="photos", workspace=workspace))
    assert images.transforms == (Resize((15, 20)), Rescale())
    stack = images.to_numpy()
    assert (stack.shape, stack.dtype) == ((2, 15, 20, 3), np.float32)
    np.testing.assert_allclose(stack[0], 0.2, atol=1e-6)
    np.testing.assert_allclose(
        stack[1], resize(arrays[1] / 255, (15, 20), order=1, mode="edge", anti_aliasing=True),
        atol=1e-6,
    )  # fmt: skip


def test_real_x_rays_run_from_0_to_1_and_serving_does_the_same(datasets, workspace):
    images = read_images(datasets / "medical/pneumonia_dicom", workspace=workspace)
    ready = preprocess_images(images)
    stack = ready[::40].to_numpy()
    assert stack.shape == (20, 28, 28)
    np.testing.assert_array_equal(stack.min(axis=(1, 2)), 0)
    np.testing.assert_array_equal(stack.max(axis=(1, 2)), 1)
    image = images[40]
    served = apply_transforms(ready.transforms, image.pixels, image.meta)
    np.testing.assert_array_equal(served, stack[1])


def test_real_volumes_of_several_shapes_become_one(datasets, workspace):
    images = read_images(
        datasets / "medical/hippocampus_mr/images", name="hippocampus", workspace=workspace
    )
    ready = preprocess_images(images)
    first, second = ready[:2].arrays()
    assert first.shape == second.shape == (36, 51, 36)
    volume = images[0]
    resized = resize(
        Gaussian(0.5).apply(volume.pixels.astype(np.float32), volume.meta)[0],
        (36, 51, 36), order=1, mode="edge", anti_aliasing=True,
    )  # fmt: skip
    low, high = np.percentile(resized, [1, 99])
    np.testing.assert_allclose(first, np.clip((resized - low) / (high - low), 0, 1), atol=2e-3)
