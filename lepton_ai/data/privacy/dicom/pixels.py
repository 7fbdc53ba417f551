"""Pixels: what lies beside the image in the stored pixels goes: padding, comments, overlay bits."""

import itertools
from typing import Any

import numpy as np
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import get_expected_length

from lepton_ai.core.errors import InvalidInput

__all__ = ["clean_pixels"]

# Markers of JPEG and JPEG-LS (ISO/IEC 10918-1, 14495-1) and of JPEG 2000 (ISO/IEC 15444-1).
_START, _END, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_START_2000, _TILE = b"\xff\x4f", 0x90
# Comments and application data; decoders need those of JFIF, SPIFF and Adobe, which have a form.
_COMMENTS = {0xFE, *range(0xE0, 0xF0)} - {0xE0, 0xE8, 0xEE}
_COMMENTS_2000 = {0x64}


def clean_pixels(dataset: Any) -> None:
    """Take out of a data set's pixels, in place, what is no part of the image.

    That is padding behind native pixels, overlays in bits that the image does not use, and
    comments and trailing bytes in JPEG, JPEG-LS and JPEG 2000 streams.

    Raises:
        InvalidInput: an overlay lies in bits that belong to signed pixels.
    """
    if "PixelData" not in dataset:
        return
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        _clean_frames(dataset)
        return
    data = dataset.PixelData
    size = get_expected_length(dataset)
    if len(data) > size:
        data = data[:size] + bytes(size % 2)
    if _has_overlay_bits(dataset):
        data = _without_overlays(dataset, data)
    dataset["PixelData"].value = data


def _has_overlay_bits(dataset: Any) -> bool:
    """Say whether an overlay lies in the bits of the pixels; no recent standard allows it."""
    return any(
        dataset.get_item((group, 0x0102)) is not None
        and dataset[group, 0x0102].value
        and (group, 0x3000) not in dataset
        for group in range(0x6000, 0x6020, 2)
    )


def _without_overlays(dataset: Any, data: bytes) -> bytes:
    if dataset.get("PixelRepresentation", 0) or dataset.BitsAllocated not in (8, 16, 32):
        raise InvalidInput("an overlay lies in the bits of its signed pixels; decode it first")
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
    values = np.frombuffer(data, f"{order}u{dataset.BitsAllocated // 8}")
    masked: bytes = (values & ((1 << dataset.BitsStored) - 1)).astype(values.dtype).tobytes()
    return masked


def _clean_frames(dataset: Any) -> None:
    count = int(dataset.get("NumberOfFrames") or 1)
    frames = [*generate_frames(dataset.PixelData, number_of_frames=count)]
    cleaned = [_even(_clean_stream(frame)) for frame in frames]
    if cleaned == frames:
        return
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset["PixelData"].value = encapsulate(cleaned)


def _clean_stream(data: bytes) -> bytes:
    if data.startswith(_START_2000):
        return _ended(_without(data, _COMMENTS_2000, _TILE))
    if data.startswith(_START):
        return _ended(_without(data, _COMMENTS, _SCAN))
    return data


def _without(data: bytes, unwanted: set[int], last: int) -> bytes:
    """Return a stream without some segments of its header, which ends with a marker."""
    parts, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (last, 0xFF):
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] not in unwanted:
            parts.append(data[at:end])
        at = end
    return b"".join(itertools.chain(parts, [data[at:]]))


def _ended(data: bytes) -> bytes:
    """Return a stream without what follows its end."""
    end = data.rfind(_END)
    return data if end < 0 else data[: end + 2]


def _even(data: bytes) -> bytes:
    return data + bytes(len(data) % 2)
