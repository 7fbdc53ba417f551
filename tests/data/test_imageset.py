"""Image sets: access, selection, parallel decoding, memory, display and integrity."""

import base64
import io
import re
import threading
import tracemalloc
from collections import Counter

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow

from lepton_ai.core.errors import Corrupt, InvalidInput, NotFound
from lepton_ai.data.images import fetch, imageset
from lepton_ai.data.images.display import thumbnail
from lepton_ai.data.images.imageset import Image, ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.transforms import Channels, Normalise, Resize


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (12, 9), dtype=np.uint8) for _ in range(10)]


@pytest.fixture
def images(arrays, tmp_path, workspace):
    for place, array in enumerate(arrays):
        folder = tmp_path / "set" / ("cat" if place < 6 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(array).save(folder / f"{place}.png")
    return read_images(tmp_path / "set", label="folder", workspace=workspace)


def test_pixels_are_those_of_the_files(images, arrays):
    for image, array in zip(images, arrays, strict=True):
        np.testing.assert_array_equal(image.array, array)
    np.testing.assert_array_equal(images.to_numpy(), np.stack(arrays))
    np.testing.assert_array_equal(np.concatenate(list(images.batches(4))), np.stack(arrays))
    assert [len(stack) for stack in images.batches(4)] == [4, 4, 2]


def test_dicom_pixels_are_pydicoms(datasets, workspace):
    folder = datasets / "medical/pneumonia_dicom"
    images = read_images(folder, workspace=workspace)[::100]
    for image, array in zip(images, images.arrays(), strict=True):
        theirs = pydicom.dcmread(folder / image.paths[0])
        np.testing.assert_array_equal(array, theirs.pixel_array)
        assert image.meta.patient == theirs.PatientID


def test_what_is_known_without_decoding(images):
    assert len(images) == 10
    assert images.labels.tolist() == ["cat"] * 6 + ["dog"] * 4
    assert images.classes == ("cat", "dog")
    assert len(set(images.ids)) == 10
    assert images.groups.shape == (10,)
    assert images[7].paths == ("dog/7.png",)
    summary = images.summary()
    assert (summary.images, summary.unlabelled) == (10, 0)
    assert (summary.classes, summary.shapes) == ({"cat": 6, "dog": 4}, {(12, 9): 10})
    assert "classes: cat (6), dog (4)" in repr(images)
    assert images.ref == "set:1"
    assert "label 'dog'" in repr(images[7])


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (slice(2, 8, 3), [2, 5]),
        (slice(None, None, -1), list(range(9, -1, -1))),
        ([3, 1, -1], [3, 1, 9]),
        (np.array([0, 0]), [0, 0]),
        ([], []),
        ([True, False] * 5, [0, 2, 4, 6, 8]),
    ],
)
def test_selections(images, key, expected):
    chosen = images[key]
    assert isinstance(chosen, ImageSet)
    assert list(chosen.ids) == [images.ids[place] for place in expected]
    assert chosen.dataset == images.dataset
    if expected:
        np.testing.assert_array_equal(chosen[1:][-1].array, images[expected[-1]].array)


def test_selecting_by_label_and_by_single_number(images):
    assert len(images[images.labels == "dog"]) == 4
    assert isinstance(images[np.int64(-1)], Image)
    assert images[-1].id == images.ids[9]


@pytest.mark.parametrize("key", [10, -11])
def test_numbers_out_of_range(images, key):
    with pytest.raises(IndexError, match="there are 10 images, 0 to 9"):
        images[key]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ([10], "10 rows, 0 to 9"),
        ([True], "10 booleans; got bool of shape"),
        ("cat", "a slice, a list of numbers"),
        ([1.5], "got float64"),
    ],
)
def test_wrong_selections_are_refused(images, key, message):
    with pytest.raises(InvalidInput, match=message):
        images[key]


def test_some_labels_missing(tmp_path, workspace, arrays):
    for place, array in enumerate(arrays[:3]):
        Pillow.fromarray(array).save(tmp_path / f"{place}.png")
    (tmp_path / "labels.csv").write_text("file,label\n0.png,a\n2.png,b\n")
    images = read_images(tmp_path, name="some", workspace=workspace)
    assert images.labels.tolist() == ["a", None, "b"]
    assert images.summary().unlabelled == 1
    assert images.classes == ("a", "b")
    assert images[1:2].labels is None
    assert "without a label: 1" in repr(images)


def test_images_of_one_file_are_decoded_together(tmp_path, workspace, arrays):
    stack = np.stack(arrays * 10)
    labels = np.arange(100) % 3
    np.savez_compressed(tmp_path / "set.npz", images=stack, labels=labels)
    images = read_images(tmp_path, name="stack", workspace=workspace)
    np.testing.assert_array_equal(images.to_numpy(), stack)
    np.testing.assert_array_equal(images[[70, 3, 41]].to_numpy(), stack[[70, 3, 41]])
    assert Counter(images.labels.tolist()) == {"0": 34, "1": 33, "2": 33}


def test_images_of_several_shapes_are_not_stacked(tmp_path, workspace):
    for side in (4, 5):
        Pillow.fromarray(np.eye(side, dtype=np.uint8)).save(tmp_path / f"{side}.png")
    images = read_images(tmp_path, name="mixed", workspace=workspace)
    assert sorted(array.shape for array in images.arrays()) == [(4, 4), (5, 5)]
    for stacking in (images.to_numpy, lambda: list(images.batches())):
        with pytest.raises(InvalidInput, match=r"\(4, 4\).*\(5, 5\).*preprocess_images"):
            stacking()
    with pytest.raises(InvalidInput, match="holds no images"):
        images[[]].to_numpy()


def test_several_threads_decode_and_a_slow_reader_holds_few(datasets, workspace, monkeypatch):
    folder = datasets / "medical/pneumonia_dicom"
    images = read_images(folder, workspace=workspace)[:300].with_transforms([Resize((256, 256))])
    threads = set()
    decode = ImageSet._decode

    def spy(self, batch):
        threads.add(threading.current_thread().name)
        return decode(self, batch)

    monkeypatch.setattr(ImageSet, "_decode", spy)
    monkeypatch.setattr(fetch, "_BATCH_BYTES", 2**14)
    monkeypatch.setattr(imageset, "_IN_FLIGHT_BYTES", 2**20)
    tracemalloc.start()
    total = sum(float(array[0, 0]) for array in images.arrays())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 0
    assert peak < 20 * 2**20  # all 300 are 75 MiB
    assert threads
    assert threading.current_thread().name not in threads


def test_files_are_fetched_by_one_query(images, workspace):
    parts = [entry.parts[0] for entry in images.entries]
    held = workspace.objects.get_many(part.address for part in [*parts, *parts])
    assert held == {part.address: workspace.objects.get(part.address) for part in parts}
    with pytest.raises(NotFound, match="no object 00"):
        workspace.objects.get_many([parts[0].address, "00"])


def test_leaving_early_is_fine(images):
    iterator = images.arrays()
    next(iterator)
    iterator.close()
    assert len(list(images.arrays())) == 10


def test_transforms_come_on_reading(images, arrays):
    ready = images.with_transforms([Normalise("min-max")])
    expected = [(a - float(a.min())) / (int(a.max()) - int(a.min())) for a in arrays]
    np.testing.assert_allclose(ready.to_numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(ready[3].array, expected[3], atol=1e-6)
    np.testing.assert_array_equal(ready[3].pixels, arrays[3])
    assert "Normalise" in repr(ready)


def test_a_contact_sheet_of_small_pictures(images):
    page = preprocess_images(images)._repr_html_()
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 10
    for encoded in pictures:
        picture = Pillow.open(io.BytesIO(base64.b64decode(encoded)))
        assert picture.format == "PNG"
        assert max(picture.size) <= 96
    assert page.count("<b>cat</b>") == 6
    assert "http" not in page
    big = images[[place % 10 for place in range(100)]]
    page = big._repr_html_()
    assert page.count("<img") == 12
    assert page.count("<b>dog</b>") == 6


def test_names_in_a_page_are_text(tmp_path, workspace, arrays):
    folder = tmp_path / "set" / "<script>alert(1)<"
    folder.mkdir(parents=True)
    Pillow.fromarray(arrays[0]).save(folder / "a.png")
    images = read_images(tmp_path / "set", label="folder", workspace=workspace)
    assert "<script>" not in images._repr_html_()
    assert "&lt;script&gt;" in images._repr_html_()


@pytest.mark.parametrize(
    ("shape", "colour", "size"),
    [
        ((10, 20), False, (80, 40)),
        ((500, 250), False, (48, 96)),
        ((5, 30, 60), False, (60, 30)),
        ((2, 5, 8, 8), False, (96, 96)),
        ((10, 20, 3), True, (80, 40)),
        ((4, 10, 20, 3), True, (80, 40)),
    ],
)
def test_thumbnails_are_small_and_show_the_middle(shape, colour, size):
    array = np.zeros(shape, np.float32)
    array[..., :1, :] = np.nan
    picture = Pillow.open(io.BytesIO(thumbnail(array, colour=colour)))
    assert picture.size == size
    assert picture.mode == ("RGB" if colour else "L")
    volume = np.stack([np.zeros((8, 8)), np.eye(8), np.zeros((8, 8))])
    shown = np.asarray(Pillow.open(io.BytesIO(thumbnail(volume, colour=False, side=8))))
    np.testing.assert_array_equal(shown, np.eye(8) * 255)


def test_one_image_shows_itself(images):
    for ready in (images, images.with_transforms([Channels(3)])):
        assert ready[0]._repr_png_().startswith(b"\x89PNG")


def test_altered_bytes_are_never_decoded(images, workspace):
    packs = [path for path in (workspace.home / "objects").rglob("*") if path.is_file()]
    for pack in packs:
        data = bytearray(pack.read_bytes())
        for place in range(20, len(data), 40):
            data[place] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(data)
    with pytest.raises(Corrupt):
        images.to_numpy()
    with pytest.raises(Corrupt):
        ImageSet.open(workspace, images.node)
    assert "<img" not in images._repr_html_()  # the reason stands there instead
    assert "altered" in images._repr_html_()


def test_a_table_is_no_image_set(images, workspace):
    train = images[:3].record()
    with pytest.raises(InvalidInput, match="is a split, not an image set"):
        ImageSet.open(workspace, train)
