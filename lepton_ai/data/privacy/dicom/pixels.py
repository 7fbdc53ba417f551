"""Pixels: what lies beside the image in the stored pixels goes: padding, comments, overlay bits."""

from typing import Any

import numpy as np
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import RLELossless

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.privacy.dicom.streams import clean_rle, clean_stream

__all__ = ["clean_pixels"]


def clean_pixels(dataset: Any) -> None:
    """Take out of a data set's pixels, in place, what is no part of the image.

    That is padding behind native pixels, overlays in bits that the image does not use, and what
    decoders pass over in compressed frames.

    Raises:
        InvalidInput: an overlay lies in bits that belong to signed pixels, or a frame is damaged.
    """
    if "PixelData" not in dataset:
        return
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        _clean_frames(dataset)
        return
    data = dataset.PixelData
    size = get_expected_length(dataset)
    if len(data) > size:
        end = data[:size] + bytes(size % 2)
        # Of two swapped bytes, the last one of an odd number stands behind what fills them up.
        swapped = size % 2 and not dataset.file_meta.TransferSyntaxUID.is_little_endian
        whole = swapped and dataset["PixelData"].VR == "OW" and dataset.BitsAllocated == 8
        data = end[:-2] + b"\0" + data[size : size + 1] if whole else end
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
    frames = generate_frames(dataset.PixelData, number_of_frames=count)
    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        size = dataset.Rows * dataset.Columns
        cleaned = [clean_rle(frame, size) for frame in frames]
    else:
        cleaned = [clean_stream(frame) for frame in frames]
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            delattr(dataset, keyword)
    # A new table of offsets, too: the old one may hold anything.
    dataset["PixelData"].value = encapsulate([frame + bytes(len(frame) % 2) for frame in cleaned])
