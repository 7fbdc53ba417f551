"""The pixels of one DICOM file: decoded, and turned into the values that the modality means.

Slope and intercept, the modality lookup table or the dose scaling are applied; palettes and YBR
become RGB; MONOCHROME1, where low values are bright, is inverted before rescaling, ``lowest +
highest - value`` over the range of BitsStored, so that bright is high everywhere. Sources: DICOM
PS3.3 C.7.6.3 (pixels), C.11.1 (modality), C.8.8.3 (dose).
"""

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, convert_color_space

from lepton_ai.data.images.dicom import QUIET, Header
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.frames import (
    CodecFailed,
    Frame,
    decode_frame,
    is_compressed,
    split_frames,
)
from lepton_ai.data.images.rescale import common_type, rescale, rescaled_type

__all__ = ["decode_pixels"]


def decode_pixels(header: Header) -> NDArray[Any]:
    """Decode the image: (y, x), with frames (z or t, y, x), and 3 last for colour.

    Frames with positions lie along the slice normal, else as in the file.

    Raises:
        Unreadable: the pixel data are cut short, broken, or of an unknown transfer syntax.
    """
    array = _stored(header)
    if header.photometric == "PALETTE COLOR":
        array = _through(lambda dataset: apply_color_lut(array, dataset), header)
    if header.inverted:
        lowest, highest = header.limits
        # In wrapping arithmetic of the stored width, -1 - v and (2^bits - 1) - v are exact.
        array = np.subtract(
            np.array(lowest + highest).astype(array.dtype), array, dtype=array.dtype
        )
    if header.channels == 1:
        array = _values(header, array)
    if header.arrangement is not None and header.arrangement.order != tuple(range(header.frames)):
        array = array[list(header.arrangement.order)]
    return array


def _stored(header: Header) -> NDArray[Any]:
    """Return the stored numbers, with colours as RGB and palettes as indices."""
    elements = header.elements
    at, length, _ = elements.places[header.pixels]
    shape = (header.rows, header.columns) + ((3,) if header.samples == 3 else ())
    if length is None:
        frame = Frame(
            elements.syntax,
            header.rows,
            header.columns,
            header.samples,
            header.stored,
            header.stored_type,
            header.photometric,
        )
        parts = split_frames(elements, at, header.frames)
        try:
            decoded = [decode_frame(part, frame) for part in parts]
        except CodecFailed as error:
            return _by_pydicom(header, error)
        whole = decoded[0] if header.frames == 1 else np.stack(decoded)
        if elements.syntax in ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.98"):
            whole = _without_unused_bits(header, whole)
        return whole
    if is_compressed(elements.syntax):
        raise Unreadable(
            "unreadable", f"pixel data of transfer syntax {elements.syntax} are not in fragments"
        )
    count = header.rows * header.columns * header.samples * header.frames
    size = (count * header.allocated + 7) // 8
    if header.photometric == "YBR_FULL_422":
        size = size // 3 * 2
    if length < size:
        raise Unreadable("truncated", f"the pixel data have {length} bytes of {size}")
    if header.photometric == "YBR_FULL_422" or (not elements.little and header.allocated <= 8):
        # Shared chroma, and bytes swapped in pairs: rare and slow is right.
        return _by_pydicom(header, None)
    if header.allocated == 1:
        packed = np.frombuffer(elements.data, np.uint8, size, at)
        bits = np.unpackbits(packed, count=count, bitorder="little")
        return bits.reshape(*((header.frames,) if header.frames > 1 else ()), *shape)
    stored = header.stored_type.newbyteorder("<" if elements.little else ">")
    array = np.frombuffer(elements.data, stored, count, at)
    if header.planar:
        array = array.reshape(header.frames, 3, header.rows, header.columns)
        array = np.moveaxis(array, 1, -1)
    array = np.ascontiguousarray(array.astype(header.stored_type, copy=False))
    array = array.reshape(*((header.frames,) if header.frames > 1 else ()), *shape)
    if header.photometric == "YBR_FULL":
        return np.asarray(convert_color_space(array.copy(), "YBR_FULL", "RGB"))
    return _without_unused_bits(header, array)


def _without_unused_bits(header: Header, array: NDArray[Any]) -> NDArray[Any]:
    """Drop what overlays or padding left in the bits outside BitsStored."""
    if header.stored == header.allocated or header.stored_type.kind == "f":
        return array
    down = header.allocated - header.stored
    if header.signed:
        signed: NDArray[Any] = (array << (header.allocated - 1 - header.high)) >> down
        return signed
    if header.high >= header.stored:
        array = array >> (header.high - header.stored + 1)
    masked: NDArray[Any] = array & array.dtype.type((1 << header.stored) - 1)
    return masked


def _values(header: Header, array: NDArray[Any]) -> NDArray[Any]:
    """Return stored numbers as the values that the modality means."""
    if 0x00283000 in header.elements:
        return _through(lambda dataset: apply_modality_lut(array, dataset), header)
    lowest, highest = header.limits
    types = [
        rescaled_type(array.dtype, lowest, highest, slope, intercept)
        for slope, intercept in header.scales
    ]
    if len(header.scales) == 1:
        return rescale(array, types[0], *header.scales[0])
    common = common_type(types)
    return np.stack(
        [
            rescale(frame, kind, *scale).astype(common, copy=False)
            for frame, kind, scale in zip(array, types, header.scales, strict=True)
        ]
    )


def _by_pydicom(header: Header, error: Unreadable | None) -> NDArray[Any]:
    """Decode as pydicom does, for what is too rare to be worth a faster way."""
    array = _through(lambda dataset: dataset.pixel_array, header, error)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    shape = (header.rows, header.columns) + ((3,) if header.samples == 3 else ())
    if header.frames > 1:
        array = array[: header.frames]
        shape = (header.frames, *shape)
    if array.shape != shape:
        raise Unreadable("unreadable", f"the pixels are of shape {array.shape}, not {shape}")
    return array


def _through(
    function: Callable[[Any], NDArray[Any]], header: Header, error: Unreadable | None = None
) -> NDArray[Any]:
    """Apply what pydicom does with a whole data set."""
    with QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(header.elements.data), force=True)
            if "TransferSyntaxUID" not in dataset.file_meta:
                dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(header.elements.syntax)
            return function(dataset)
        except Exception as failure:  # pydicom raises every kind
            if error is not None:
                raise error from failure
            raise Unreadable("unreadable", f"pydicom cannot decode it: {failure}") from failure
