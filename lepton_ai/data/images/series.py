"""Slices to volumes: grouped by series, ordered by where they lie in the patient."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import dist, prod
from typing import Any

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from lepton_ai.data.images import position
from lepton_ai.data.images.dicom import Header, read_header
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.images.pixels import decode_pixels
from lepton_ai.data.images.position import Arrangement, Place
from lepton_ai.data.images.rescale import common_type

__all__ = ["Slice", "Volume", "decode_series", "describe", "group_slices"]

# Vectors and spacings of one volume agree this well; scanners write six digits or so.
_ALIKE = 1e-3


class Slice(Struct, frozen=True):
    """What is kept of one decoded DICOM file until its series is complete.

    ``digests`` are those of its planes, ``frequencies`` what its fingerprint is made of.
    """

    meta: ImageMeta
    place: Place
    ranks: dict[str, float]
    uid: str | None
    frames: int
    digests: tuple[bytes, ...]
    frequencies: NDArray[np.float32]


class Volume(Struct, frozen=True):
    """Slices that are one image, as numbers of the given ones in geometric order.

    ``copies`` pairs each slice that is left out, since the volume holds it already, with the
    one that stayed.
    """

    members: tuple[int, ...]
    meta: ImageMeta
    copies: tuple[tuple[int, int], ...] = ()


def group_slices(
    slices: Sequence[Slice], apart: Callable[[int], object] = lambda number: None
) -> Iterator[Volume]:
    """Yield the images that slices form.

    Slices of one series, one frame of reference, one shape, orientation and pixel spacing are a
    volume; a slice without a place, such as a radiograph, and a multi-frame file are images of
    their own.

    Args:
        slices: in the order in which ties are to be broken.
        apart: slices with different results of this are never grouped.
    """
    keyed = sorted(
        range(len(slices)), key=lambda number: (_key(slices[number], number, apart), number)
    )
    for _, same in groupby(keyed, key=lambda number: _key(slices[number], number, apart)):
        for cluster in _clusters(slices, list(same)):
            yield _volume(slices, cluster)


def describe(metas: Sequence[ImageMeta], place: Place, arrangement: Arrangement) -> ImageMeta:
    """Return the metadata of a volume from those of its slices, in order."""
    first = metas[0]
    count = len(metas) // arrangement.volumes
    stack = (arrangement.volumes, count) if arrangement.volumes > 1 else (count,)
    if arrangement.volumes > 1 and count == 1:
        stack = (arrangement.volumes,)
    spacing = first.spacing
    if spacing is not None and arrangement.spacing is not None:
        spacing = (arrangement.spacing, *spacing)
    dtype = common_type(np.dtype(meta.dtype) for meta in metas).name
    attributes = first.attributes | dict(arrangement.facts)
    attributes.pop("SOPInstanceUID", None)
    return structs.replace(
        first,
        shape=(*stack, *first.shape),
        dtype=dtype,
        spacing=spacing,
        origin=place.position,
        attributes=attributes,
    )


def decode_series(files: Sequence[bytes], limit: int) -> tuple[NDArray[Any], ImageMeta]:
    """Decode the DICOM files of one image: a slice, a multi-frame file, or a volume's slices.

    Raises:
        Unreadable: a file is, the slices do not form one volume, or it is above the limit.
    """
    headers = [read_header(data, limit) for data in files]
    if len(headers) == 1:
        array = decode_pixels(headers[0])
        return array, headers[0].meta(array)
    places = [header.place for header in headers]
    found = position.arrange(places, [header.ranks for header in headers])
    if found is None:
        raise Unreadable("unreadable", f"{len(files)} slices without places form no volume")
    ordered = [headers[number] for number in found.order]
    check_size(prod((len(files), *_shape(ordered[0]))) * 4, limit)
    whole: NDArray[Any] | None = None
    metas = []
    for number, header in enumerate(ordered):
        array = decode_pixels(header)
        metas.append(header.meta(array))
        if whole is None:
            whole = np.empty((len(ordered), *array.shape), array.dtype)
        elif array.shape != whole.shape[1:]:
            raise Unreadable("unreadable", "slices of different shapes form no volume")
        # Slices that are rescaled differently meet in a type that holds them all.
        whole = whole.astype(common_type([whole.dtype, array.dtype]), copy=False)
        whole[number] = array
    assert whole is not None
    meta = describe(metas, ordered[0].place, found)
    return whole.astype(meta.dtype, copy=False).reshape(meta.shape), meta


def check_size(size: int, limit: int) -> None:
    """Refuse a volume that is larger than the limit in bytes."""
    if size > limit:
        raise Unreadable("too large", f"the volume takes {size} bytes, above {limit}")


def _shape(header: Header) -> tuple[int, int, int]:
    return header.rows, header.columns, header.channels


def _key(piece: Slice, number: int, apart: Callable[[int], object]) -> tuple[str, ...]:
    meta = piece.meta
    alone = meta.series is None or piece.frames > 1 or piece.place.position is None
    if alone or piece.place.row is None:
        return ("", f"{number:012d}")
    return (
        str(apart(number)),
        # A UID that an anonymiser gave to everyone makes no volume of several patients.
        meta.patient or "",
        meta.study or "",
        meta.series or "",
        meta.attributes.get("FrameOfReferenceUID", ""),
        str(meta.shape),
        meta.modality or "",
    )


def _clusters(slices: Sequence[Slice], numbers: list[int]) -> list[list[int]]:
    """Part slices of one series by orientation and pixel spacing."""
    clusters: list[list[int]] = []
    for number in numbers:
        place = slices[number].place
        for cluster in clusters:
            if _alike(place, slices[cluster[0]].place):
                cluster.append(number)
                break
        else:
            clusters.append([number])
    return clusters


def _alike(one: Place, other: Place) -> bool:
    pairs = ((one.row, other.row), (one.column, other.column), (one.spacing, other.spacing))
    return all(
        a == b or (a is not None and b is not None and dist(a, b) < _ALIKE) for a, b in pairs
    )


def _volume(slices: Sequence[Slice], numbers: list[int]) -> Volume:
    kept: list[int] = []
    copies: list[tuple[int, int]] = []
    seen: dict[tuple[str, tuple[bytes, ...]], int] = {}
    for number in numbers:
        piece = slices[number]
        first = seen.setdefault((piece.uid or str(number), piece.digests), number)
        if first == number:
            kept.append(number)
        else:
            copies.append((number, first))
    if len(kept) == 1:
        return Volume((kept[0],), slices[kept[0]].meta, tuple(copies))
    found = position.arrange(
        [slices[number].place for number in kept], [slices[number].ranks for number in kept]
    )
    assert found is not None  # slices without a place are on their own
    members = tuple(kept[place] for place in found.order)
    metas = [slices[number].meta for number in members]
    return Volume(members, describe(metas, slices[members[0]].place, found), tuple(copies))
