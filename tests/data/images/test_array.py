"""NumPy files: one image, several, and stacks with labels."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lepton_ai.data.images.array import read_array
from lepton_ai.data.images.decode import decode, decode_rows, decode_upload
from lepton_ai.data.images.failure import Unreadable

NUMBERS = np.random.default_rng(0)
GREY = NUMBERS.integers(0, 256, (7, 9), dtype=np.uint8)


def npy(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def reason(data: bytes, limit: int = 2**28) -> str:
    with pytest.raises(Unreadable) as caught:
        decode_upload(data, limit=limit)
    return caught.value.reason


@pytest.mark.parametrize(
    ("array", "shape", "channels"),
    [
        (GREY, (7, 9), 1),
        (GREY.astype(">f4"), (7, 9), 1),
        (np.asfortranarray(GREY), (7, 9), 1),
        (GREY > 100, (7, 9), 1),
        (np.zeros((5, 7, 9), np.int16), (5, 7, 9), 1),
        (np.zeros((7, 9, 3), np.uint8), (7, 9, 3), 3),
        (np.zeros((7, 9, 4), np.uint8), (7, 9, 3), 3),
        (np.zeros((7, 9, 1), np.float32), (7, 9), 1),
        (np.zeros((2, 5, 7, 9), np.float32), (2, 5, 7, 9), 1),
    ],
    ids=lambda value: f"{value.dtype}-{value.ndim}" if isinstance(value, np.ndarray) else "",
)
def test_one_image(array: np.ndarray, shape: tuple[int, ...], channels: int) -> None:
    ours, meta = decode_upload(npy(array))
    opaque = array[..., :3] if array.shape[-1] == 4 else array
    np.testing.assert_array_equal(ours, opaque.reshape(shape))
    assert (meta.shape, meta.channels) == (shape, channels)
    assert ours.dtype.isnative


def test_archive_of_one_image() -> None:
    np.testing.assert_array_equal(decode_upload(npz(image=GREY))[0], GREY)


def test_stack_with_labels() -> None:
    images = NUMBERS.integers(0, 256, (4, 7, 9), dtype=np.uint8)
    for names in (("train_images", "train_labels"), ("x_train", "y_train"), ("X", "y")):
        data = npz(**{names[0]: images, names[1]: np.array([[1], [0], [1], [2]])})
        rows = list(read_array(data, 2**20))
        assert [row.label for row in rows] == ["1", "0", "1", "2"]
        assert [row.index for row in rows] == [0, 1, 2, 3]
        for row, image in zip(rows, images, strict=True):
            np.testing.assert_array_equal(row.array, image)
            assert row.meta.attributes["member"] == names[0]
        np.testing.assert_array_equal(decode("array", [data], 2), images[2])
        both = decode_rows("array", [data], [3, 1])
        np.testing.assert_array_equal(both, images[[3, 1]])
        with pytest.raises(Unreadable, match="no image number 4"):
            decode("array", [data], 4)
        assert reason(data) == "unsupported"  # one upload is one image


def test_rows_are_counted_over_all_stacks(datasets: Path) -> None:
    path = datasets / "medical/pneumoniamnist/pneumoniamnist.npz"
    data = path.read_bytes()
    rows = list(read_array(data, 2**28))
    with np.load(path) as archive:
        images = np.concatenate([archive[f"{side}_images"] for side in ("train", "val", "test")])
        labels = np.concatenate([archive[f"{side}_labels"] for side in ("train", "val", "test")])
    assert [row.index for row in rows] == list(range(5856))
    assert [row.label for row in rows] == [str(label) for label in labels.ravel()]
    np.testing.assert_array_equal(np.stack([row.array for row in rows]), images)
    np.testing.assert_array_equal(decode("array", [data], 5000), images[5000])


def test_several_images_without_labels() -> None:
    data = npz(a=GREY, b=GREY + 1, count=np.array(5), table=np.zeros((4, 1)))
    rows = list(read_array(data, 2**20))
    assert [row.index for row in rows] == [0, 1]
    np.testing.assert_array_equal(decode("array", [data], 1), GREY + 1)


def test_nothing_is_unpickled() -> None:
    trap = np.array([[object(), object()]], dtype=object)
    assert reason(npy(trap, allow_pickle=True)) == "unsupported"
    assert reason(npz(image=trap)) == "unsupported"


def test_broken_files() -> None:
    good = npy(GREY)
    assert reason(good[:-1]) == "truncated"
    assert reason(good[:20]) == "unreadable"
    assert reason(npz(image=GREY)[:-30]) == "truncated"
    assert reason(npy(GREY.astype(complex))) == "unsupported"
    assert reason(npy(np.zeros(5))) == "unsupported"
    assert reason(npy(np.zeros((0, 5)))) == "unsupported"
    assert reason(npz(words=np.array(["a"]))) == "no pixels"
    assert reason(good.replace(b"(7, 9)", b"(7, 9 ")) == "unreadable"
    assert reason(npy(GREY), limit=50) == "too large"


def test_claims_are_checked_before_room_is_made() -> None:
    huge = npy(GREY).replace(b"(7, 9), }     ", b"(700000, 900)}")
    assert len(huge) == len(npy(GREY))
    assert reason(huge) == "too large"
    assert reason(huge, limit=2**40) == "truncated"
    assert reason(npz(image=np.zeros((20_000, 20_000), np.uint8)), limit=2**20) == "too large"


def test_labels_are_counted_as_the_texts_they_become() -> None:
    data = npz(images=np.zeros((100_000, 1, 1), np.uint8), labels=np.zeros(100_000, np.uint8))
    assert len(data) < 2000
    assert reason(data, limit=2**20) == "too large"


def test_encrypted_member() -> None:
    data = bytearray(npz(image=GREY))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    assert reason(bytes(data)) == "encrypted"


def test_member_with_a_wrong_checksum() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("image.npy", npy(GREY))
    data = bytearray(stream.getvalue())
    data[data.index(GREY.tobytes()) + 5] ^= 1
    assert reason(bytes(data)) in ("truncated", "unreadable")
