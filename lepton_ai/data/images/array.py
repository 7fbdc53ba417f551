"""NumPy files: one array (.npy) or several (.npz); nothing in them is ever unpickled.

One array is one image: (y, x), (z, y, x) or (t, z, y, x), with 3 last for uint8 colour. An array
of an archive that comes with labels, one for each of its rows, is a stack of images, as the
MedMNIST sets are: ``train_images`` and ``train_labels``, ``x_train`` and ``y_train``, ``X`` and
``y``.
"""

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
from msgspec import Struct
from numpy.lib import format as npy
from numpy.typing import NDArray

from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.images.raster import opaque

__all__ = ["Row", "is_array", "read_array", "read_rows"]

_PAIRS = (("images", "labels"), ("image", "label"), ("data", "target"), ("x", "y"), ("X", "y"))
_LABEL = 128  # bytes that a short label takes as a text of Python's
_ROOM = 2**20  # for the header of a member, and its labels' text


class Row(Struct, frozen=True):
    """One image of a file: its number there (None where it is the only one), pixels, label."""

    index: int | None
    array: NDArray[Any]
    meta: ImageMeta
    label: str | None = None


class _Member(Struct, frozen=True):
    name: str
    shape: tuple[int, ...]
    labels: tuple[str, ...] | None


def is_array(head: bytes) -> bool:
    """Say whether bytes start a .npy file or a zip archive, which an .npz file is."""
    return head.startswith((b"\x93NUMPY", b"PK\x03\x04"))


def read_array(data: bytes, limit: int) -> Iterator[Row]:
    """Yield the images of a .npy or .npz file, one array in memory at a time.

    Raises:
        Unreadable: it is broken, encrypted or cut short, holds Python objects or no image, or
            an array is larger than the limit in bytes.
    """
    yield from _rows(data, None, limit)


def read_rows(data: bytes, indices: Sequence[int | None], limit: int) -> list[NDArray[Any]]:
    """Decode the images with these numbers, each array of the file once.

    Raises:
        Unreadable: as `read_array`, or there is no image of such a number.
    """
    wanted = set(indices)
    found = {row.index: row.array for row in _rows(data, wanted, limit)}
    missing = wanted - set(found)
    if missing:
        raise Unreadable("unreadable", f"the file has no image number {missing.pop()}")
    return [found[index] for index in indices]


def _rows(data: bytes, wanted: set[int | None] | None, limit: int) -> Iterator[Row]:
    try:
        if data.startswith(b"\x93NUMPY"):
            array = _read(io.BytesIO(data), len(data), limit)
            yield _row(None, array, "", None)
            return
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from _archive_rows(archive, wanted, limit)
    except Unreadable:
        raise
    except zipfile.BadZipFile as error:
        raise Unreadable("truncated", f"the archive is broken: {error}") from error
    except Exception as error:  # zlib's, zipfile's and NumPy's
        raise Unreadable("unreadable", f"the NumPy file is broken: {error}") from error


def _archive_rows(
    archive: zipfile.ZipFile, wanted: set[int | None] | None, limit: int
) -> Iterator[Row]:
    members = _members(archive, limit)
    single = len(members) == 1 and members[0].labels is None
    first = 0
    for member in members:
        count = member.shape[0] if member.labels is not None else 1
        numbers = range(first, first + count)
        first += count
        chosen = [
            number for number in numbers if wanted is None or (None if single else number) in wanted
        ]
        if not chosen:
            continue
        array = _load(archive, f"{member.name}.npy", limit)
        for number in chosen:
            if member.labels is None:
                yield _row(None if single else number, array, member.name, None)
            else:
                row = number - numbers.start
                yield _row(number, array[row], member.name, member.labels[row])


def _members(archive: zipfile.ZipFile, limit: int) -> list[_Member]:
    """List the arrays of an archive that are images, in the order in which they lie there."""
    shapes: dict[str, tuple[int, ...]] = {}
    kinds: dict[str, np.dtype[Any]] = {}
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        if info.flag_bits & 1:
            raise Unreadable("encrypted", f"{info.filename} in the archive is encrypted")
        name = info.filename.removesuffix(".npy")
        with archive.open(info) as member:
            shapes[name], _, kinds[name] = _header(member)
    found: list[_Member] = []
    for name, shape in shapes.items():
        if not 2 <= len(shape) <= 5 or kinds[name].kind not in "iufb":
            continue
        label = _label_of(name, shape, shapes)
        if label is not None:
            if shape[0] * _LABEL > limit:
                raise Unreadable("too large", f"{shape[0]} labels are above {limit} bytes")
            values = _load(archive, f"{label}.npy", limit).reshape(-1)
            found.append(_Member(name, shape, tuple(str(value) for value in values.tolist())))
        elif min(shape[:2]) > 1:
            found.append(_Member(name, shape, None))
    if not found:
        raise Unreadable("no pixels", f"an archive without an image: {sorted(shapes)[:9]}")
    return found


def _label_of(name: str, shape: tuple[int, ...], shapes: dict[str, tuple[int, ...]]) -> str | None:
    """Return the name of the array with one label for each row of this one."""
    if len(shape) < 3:
        return None
    for images, labels in _PAIRS:
        words = name.split("_")
        if images in words:
            other = "_".join(labels if word == images else word for word in words)
            if shapes.get(other) in ((shape[0],), (shape[0], 1)):
                return other
    return None


def _load(archive: zipfile.ZipFile, name: str, limit: int) -> NDArray[Any]:
    info = archive.getinfo(name)
    with archive.open(info) as member:
        return _read(member, info.file_size, limit)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise Unreadable("unsupported", f"a NumPy file of version {version}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise Unreadable("unsupported", "an array of Python objects, which are never unpickled")
    return shape, fortran, dtype


def _read(stream: IO[bytes], size: int, limit: int) -> NDArray[Any]:
    shape, fortran, dtype = _header(stream)
    need = math.prod(shape) * dtype.itemsize
    if need > limit:
        raise Unreadable("too large", f"{shape} numbers of {dtype} are above {limit} bytes")
    if need > size:
        raise Unreadable("truncated", f"{shape} numbers of {dtype} do not fit in {size} bytes")
    body = stream.read(need)
    if len(body) < need:
        raise Unreadable("truncated", f"the array has {len(body)} bytes of {need}")
    # What an archive says of a member's checksum is compared at its end.
    stream.read(1)
    flat = np.frombuffer(body, dtype)
    array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)


def _row(index: int | None, array: NDArray[Any], member: str, label: str | None) -> Row:
    attributes = {"member": member} if member else {}
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or 0 in array.shape:
        raise Unreadable("unsupported", f"an array of {array.dtype} in shape {array.shape}")
    samples = array.shape[-1] if array.ndim > 2 else 0
    if samples == 1 or (samples in (3, 4) and array.dtype == np.uint8):
        array = opaque(array, attributes)
    channels = 3 if samples in (3, 4) and array.dtype == np.uint8 else 1
    axes = array.ndim - (channels == 3)
    if not 2 <= axes <= 4:
        raise Unreadable("unsupported", f"an array in shape {array.shape} is no image")
    meta = ImageMeta(
        shape=array.shape, dtype=array.dtype.name, channels=channels, attributes=attributes
    )
    return Row(index, np.ascontiguousarray(array), meta, label)
