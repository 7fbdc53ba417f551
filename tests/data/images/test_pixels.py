"""Pixels of DICOM files of every layout, against values worked out by hand or by pydicom."""

import io
import struct
import warnings

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from lepton_ai.data.images.decode import decode_upload
from lepton_ai.data.images.failure import Unreadable
from tests.data.images.dicom_files import compressed, dataset, dicom, enhanced, written

RAMP = np.arange(24, dtype=np.uint16).reshape(4, 6) * 100
COLOURS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3


def reason(data: bytes, limit: int = 2**28) -> str:
    with pytest.raises(Unreadable) as caught:
        decode_upload(data, limit=limit)
    return caught.value.reason


def test_unsigned_and_signed() -> None:
    array, meta = decode_upload(dicom(RAMP))
    np.testing.assert_array_equal(array, RAMP)
    assert (meta.dtype, meta.shape, meta.channels) == ("uint16", (4, 6), 1)
    signed = RAMP.astype(np.int16) - 1000
    array, meta = decode_upload(dicom(signed))
    np.testing.assert_array_equal(array, signed)
    assert meta.dtype == "int16"
    assert array.flags.writeable


def test_bits_outside_those_stored_are_dropped() -> None:
    # 12 bits stored; an overlay in the four above them (as PS3.5 once allowed).
    dirty = RAMP | 0xA000
    array, _ = decode_upload(dicom(dirty, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(array, RAMP)


def test_sign_is_the_highest_stored_bit() -> None:
    values = np.array([[-2048, -1, 0, 2047]], np.int16)
    bits = (values & 0x0FFF).astype(np.int16)
    array, _ = decode_upload(dicom(bits, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(array, values)


def test_numbers_in_the_upper_bits() -> None:
    array, _ = decode_upload(dicom((RAMP << 4).astype(np.uint16), BitsStored=12, HighBit=15))
    np.testing.assert_array_equal(array, RAMP)
    signed = np.array([[-2048, -1, 0, 2047]], np.int16)
    upper = (signed.astype(np.int32) << 4).astype(np.int16)
    array, _ = decode_upload(dicom(upper, BitsStored=12, HighBit=15))
    np.testing.assert_array_equal(array, signed)


def test_rescaling_keeps_whole_numbers_whole() -> None:
    array, meta = decode_upload(
        dicom(RAMP, BitsStored=12, HighBit=11, RescaleSlope=1, RescaleIntercept=-1024)
    )
    assert meta.dtype == "int16"
    np.testing.assert_array_equal(array, RAMP.astype(np.int64) - 1024)
    # 16 bits and the intercept need more than 16 bits.
    array, meta = decode_upload(dicom(RAMP, RescaleSlope=1, RescaleIntercept=-1024))
    assert meta.dtype == "int32"
    np.testing.assert_array_equal(array, RAMP.astype(np.int64) - 1024)
    array, meta = decode_upload(dicom(RAMP, RescaleSlope="0.25", RescaleIntercept="0.5"))
    assert meta.dtype == "float32"
    np.testing.assert_array_equal(array, (RAMP * 0.25 + 0.5).astype(np.float32))


def test_monochrome1_is_inverted_before_rescaling() -> None:
    array, meta = decode_upload(
        dicom(
            RAMP,
            BitsStored=12,
            HighBit=11,
            PhotometricInterpretation="MONOCHROME1",
            RescaleSlope=2,
            RescaleIntercept=10,
            WindowCenter=1000,
            WindowWidth=50,
        )
    )
    np.testing.assert_array_equal(array, (4095 - RAMP.astype(int)) * 2 + 10)
    assert meta.attributes["inverted"] == "MONOCHROME1"
    # The stored number at the window's centre, (1000 - 10) / 2 = 495, is 7210 after inversion.
    assert float(meta.attributes["WindowCenter"]) == (4095 - 495) * 2 + 10
    signed = np.array([[-128, -1, 0, 127]], np.int8)
    array, _ = decode_upload(dicom(signed, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(array, [[127, 0, -1, -128]])


def test_modality_lookup_table() -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.ModalityLUTType = "US"
    values = (np.arange(4096) ** 2 % 65521).astype(np.uint16)
    table.LUTData = values.tobytes()
    table["LUTData"].VR = "OW"
    built = dataset(RAMP, BitsStored=12, HighBit=11, ModalityLUTSequence=Sequence([table]))
    array, _ = decode_upload(written(built))
    np.testing.assert_array_equal(array, values[RAMP])
    np.testing.assert_array_equal(array, apply_modality_lut(RAMP, built))


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_encodings(syntax: str) -> None:
    pixels = RAMP.astype(">u2") if syntax == ExplicitVRBigEndian else RAMP
    array, meta = decode_upload(dicom(pixels, TransferSyntaxUID=syntax))
    np.testing.assert_array_equal(array, RAMP)
    assert array.dtype == np.uint16
    assert meta.attributes["TransferSyntaxUID"] == syntax
    array, _ = decode_upload(dicom(COLOURS, TransferSyntaxUID=syntax))
    np.testing.assert_array_equal(array, COLOURS)


def test_without_preamble() -> None:
    data = dicom(RAMP)
    np.testing.assert_array_equal(decode_upload(data[132:])[0], RAMP)
    bare = data[data.index(b"\x08\x00\x16\x00UI") :]
    np.testing.assert_array_equal(decode_upload(bare)[0], RAMP)


def test_colour_by_plane() -> None:
    planes = np.ascontiguousarray(np.moveaxis(COLOURS, -1, 0))
    data = dicom(COLOURS, PlanarConfiguration=1, PixelData=planes.tobytes())
    array, meta = decode_upload(data)
    np.testing.assert_array_equal(array, COLOURS)
    assert (meta.channels, meta.shape) == (3, (4, 6, 3))
    frames = np.stack([COLOURS, COLOURS[::-1]])
    planes = np.ascontiguousarray(np.moveaxis(frames, -1, 1))
    array, _ = decode_upload(dicom(frames, PlanarConfiguration=1, PixelData=planes.tobytes()))
    np.testing.assert_array_equal(array, frames)


def test_ybr_becomes_rgb() -> None:
    # Y 76, Cb 85, Cr 255 is red (JFIF).
    ybr = np.tile(np.array([76, 85, 255], np.uint8), (4, 6, 1))
    array, _ = decode_upload(dicom(ybr, PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(array, np.tile([254, 0, 0], (4, 6, 1)), atol=1)
    frame = rle(*(imagecodecs.packbits_encode(bytes([value]) * 24) for value in (76, 85, 255)))
    data = compressed([frame], ybr, RLELossless, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(decode_upload(data)[0], np.tile([254, 0, 0], (4, 6, 1)), atol=1)


def rle(*segments: bytes, starts: tuple[int, ...] | None = None, count: int | None = None) -> bytes:
    if starts is None:
        starts = tuple(64 + sum(map(len, segments[:number])) for number in range(len(segments)))
    numbers = (len(segments) if count is None else count, *starts)
    return struct.pack("<16L", *numbers, *[0] * (16 - len(numbers))) + b"".join(segments)


def test_run_length_segments() -> None:
    pixels = np.arange(24, dtype=np.uint16).reshape(4, 6) * 300
    high, low = (
        imagecodecs.packbits_encode((pixels >> shift).astype(np.uint8).tobytes())
        for shift in (8, 0)
    )
    for frame in (rle(high, low), rle(high + b"\0", low + b"\0")):
        array, _ = decode_upload(compressed([frame], pixels, RLELossless))
        np.testing.assert_array_equal(array, pixels)


def test_run_length_segments_that_lie_nowhere() -> None:
    pixels = np.zeros((4, 6), np.uint16)
    good = imagecodecs.packbits_encode(bytes(24))
    for frame in (
        rle(good, good, starts=(64, 2**32 - 1)),
        rle(good, good, starts=(2**31, 64)),
        rle(good, good, starts=(0, 64)),
        rle(good, good, count=15),
        rle(good, good, count=2**31),
        rle(good, imagecodecs.packbits_encode(bytes(23))),
        b"\2\0\0\0",
    ):
        assert reason(compressed([frame], pixels, RLELossless)) in ("unreadable", "truncated")


def test_bits() -> None:
    mask = np.random.default_rng(0).integers(0, 2, (3, 5, 7), dtype=np.uint8)
    packed = np.packbits(mask.ravel(), bitorder="little").tobytes()
    data = dicom(
        mask, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed + b"\0" * (len(packed) % 2)
    )
    array, meta = decode_upload(data)
    np.testing.assert_array_equal(array, mask)
    assert meta.dtype == "uint8"


@pytest.mark.parametrize(("keyword", "dtype"), [("Float", "f4"), ("DoubleFloat", "f8")])
def test_floating_point(keyword: str, dtype: str) -> None:
    values = np.linspace(-1, 1, 24).reshape(4, 6).astype(dtype)
    built = dataset(RAMP, PixelData=None, BitsAllocated=8 * values.dtype.itemsize)
    setattr(built, f"{keyword}PixelData", values.tobytes())
    array, meta = decode_upload(written(built))
    np.testing.assert_array_equal(array, values)
    assert meta.dtype == values.dtype.name
    built.BitsAllocated = 16
    assert reason(written(built)) == "unreadable"


JPEG_XL = "1.2.840.10008.1.2.4.110"
LOSSLESS = {
    JPEG2000Lossless: lambda frame: imagecodecs.jpeg2k_encode(
        frame, level=0, reversible=True, codecformat="j2k"
    ),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEGLosslessSV1: imagecodecs.ljpeg_encode,
    JPEG_XL: lambda frame: imagecodecs.jpegxl_encode(frame, lossless=True),
    "1.2.840.10008.1.2.4.201": imagecodecs.htj2k_encode,
    "1.2.840.10008.1.2.1.98": lambda frame: frame.tobytes(),
}


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("frames", [1, 3])
def test_lossless_codecs(syntax: str, frames: int) -> None:
    numbers = np.random.default_rng(0)
    volume = numbers.integers(0, 4096, (frames, 16, 20), dtype=np.uint16)
    parts = [LOSSLESS[syntax](frame) for frame in volume]
    pixels = volume if frames > 1 else volume[0]
    # pydicom does not know JPEG XL yet; the UID of HTJ2K is as long.
    known = "1.2.840.10008.1.2.4.201" if syntax == JPEG_XL else syntax
    data = compressed(parts, pixels, known, BitsStored=12, HighBit=11)
    data = data.replace(known.encode(), syntax.encode())
    array, meta = decode_upload(data)
    np.testing.assert_array_equal(array, pixels)
    assert meta.attributes["TransferSyntaxUID"] == syntax


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEGLosslessSV1])
def test_signed_numbers_in_a_codestream_without_sign(syntax: str) -> None:
    values = np.arange(-32, 32, dtype=np.int16).reshape(8, 8) * 60
    bits = (values & 0x0FFF).astype(np.uint16)
    data = compressed([LOSSLESS[syntax](bits)], values, syntax, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(decode_upload(data)[0], values)


def test_a_frame_in_several_fragments() -> None:
    volume = np.random.default_rng(0).integers(0, 4096, (2, 16, 20), dtype=np.uint16)
    parts = [LOSSLESS[JPEGLSLossless](frame) for frame in volume]
    for has_bot in (True, False):
        packed = encapsulate(parts, fragments_per_frame=2, has_bot=has_bot)
        data = dicom(volume, TransferSyntaxUID=JPEGLSLossless, PixelData=packed)
        if has_bot:
            np.testing.assert_array_equal(decode_upload(data)[0], volume)
        else:
            assert reason(data) == "unreadable"
    packed = encapsulate(parts[:1], fragments_per_frame=3, has_bot=False)
    data = dicom(volume[0], TransferSyntaxUID=JPEGLSLossless, PixelData=packed)
    np.testing.assert_array_equal(decode_upload(data)[0], volume[0])


def test_extended_offsets_tell_frames_apart() -> None:
    volume = np.random.default_rng(0).integers(0, 4096, (2, 16, 20), dtype=np.uint16)
    halves = [
        part
        for frame in volume
        for coded in [LOSSLESS[JPEGLSLossless](frame)]
        for part in (coded[: len(coded) // 4 * 2], coded[len(coded) // 4 * 2 :])
    ]
    packed = encapsulate(halves, has_bot=False)
    starts = np.cumsum([0] + [8 + len(half) + len(half) % 2 for half in halves])
    data = dicom(
        volume,
        TransferSyntaxUID=JPEGLSLossless,
        PixelData=packed,
        ExtendedOffsetTable=struct.pack("<2Q", starts[0], starts[2]),
    )
    np.testing.assert_array_equal(decode_upload(data)[0], volume)


def test_a_codestream_that_claims_more_than_the_header() -> None:
    small = np.zeros((16, 16), np.uint16)
    large = np.zeros((4000, 4000), np.uint16)
    for syntax in (JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1):
        assert reason(compressed([LOSSLESS[syntax](large)], small, syntax)) == "unreadable"
    jpeg = imagecodecs.jpeg8_encode(large.astype(np.uint8))
    assert reason(compressed([jpeg], small.astype(np.uint8), JPEGBaseline8Bit)) == "unreadable"


def test_a_jpeg_that_was_cut_short_is_not_made_up() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    coded = imagecodecs.jpeg8_encode(pixels, level=90)
    assert decode_upload(compressed([coded], pixels, JPEGBaseline8Bit))[0].shape == (64, 64)
    data = compressed([coded[: len(coded) // 2]], pixels, JPEGBaseline8Bit)
    assert reason(data) == "truncated"


def test_jpeg_colours_follow_the_codestream() -> None:
    red = np.tile(np.array([254, 0, 0], np.uint8), (16, 16, 1))
    jfif = imagecodecs.jpeg8_encode(red, level=95)  # YCbCr inside
    for photometric in ("YBR_FULL_422", "RGB"):
        data = compressed([jfif], red, JPEGBaseline8Bit, PhotometricInterpretation=photometric)
        np.testing.assert_allclose(decode_upload(data)[0], red, atol=3)
    plain = imagecodecs.jpeg8_encode(red, level=95, colorspace="RGB", outcolorspace="RGB")
    data = compressed([plain], red, JPEGBaseline8Bit)
    np.testing.assert_allclose(decode_upload(data)[0], red, atol=3)


def test_frames_with_places_are_ordered_and_rescaled_each() -> None:
    volume = np.arange(3 * 4 * 6, dtype=np.uint16).reshape(3, 4, 6)
    positions = [[0.0, 0.0, 20.0], [0.0, 0.0, 0.0], [0.0, 0.0, 10.0]]
    array, meta = decode_upload(enhanced(volume, positions))
    np.testing.assert_array_equal(array, np.stack([volume[1] * 2, volume[2] * 3, volume[0]]))
    assert meta.spacing == (10.0, 0.5, 0.75)
    assert meta.origin == (0.0, 0.0, 0.0)
    assert meta.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert meta.attributes["ordered_by"] == "position"


def test_frames_at_one_place_stay_as_they_are() -> None:
    volume = np.arange(2 * 4 * 6, dtype=np.uint16).reshape(2, 4, 6)
    array, meta = decode_upload(enhanced(volume, [[0.0, 0.0, 5.0]] * 2))
    np.testing.assert_array_equal(array, np.stack([volume[0], volume[1] * 2]))
    assert meta.attributes["ordered_by"] == "frame"
    assert meta.spacing == (0.5, 0.75)


def test_dose_grid_runs_along_the_normal() -> None:
    grid = np.arange(3 * 4 * 6, dtype=np.uint32).reshape(3, 4, 6)
    data = dicom(
        grid,
        Modality="RTDOSE",
        DoseGridScaling="0.001",
        GridFrameOffsetVector=[0, -2, -4],
        ImagePositionPatient=[1, 2, 3],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[5, 5],
    )
    array, meta = decode_upload(data)
    np.testing.assert_array_equal(array, (grid[::-1] * 0.001).astype(np.float32))
    assert meta.spacing == (2.0, 5.0, 5.0)
    assert meta.origin == (1.0, 2.0, -1.0)


@pytest.mark.parametrize(
    ("expected", "attributes"),
    [
        ("truncated", {"Rows": 5}),
        ("truncated", {"NumberOfFrames": 2}),
        ("too large", {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 2_000_000_000}),
        ("too large", {"Rows": 65535, "Columns": 65535}),
        ("unreadable", {"Rows": 0}),
        ("unreadable", {"Rows": None}),
        ("unreadable", {"BitsAllocated": None}),
        ("unsupported", {"BitsAllocated": 12}),
        ("unsupported", {"BitsStored": 17}),
        ("unsupported", {"SamplesPerPixel": 4}),
        ("unsupported", {"PhotometricInterpretation": "CMYK"}),
        ("unreadable", {"NumberOfFrames": -1}),
        ("unreadable", {"RescaleSlope": 0}),
        ("no pixels", {"PixelData": None}),
    ],
    ids=str,
)
def test_headers_that_cannot_be(expected: str, attributes: dict[str, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = dicom(RAMP, **attributes)
    assert reason(data) == expected


def test_a_scale_that_is_no_number() -> None:
    data = dicom(RAMP, RescaleSlope="1.5", RescaleIntercept="0.0").replace(b"1.5 ", b"nan ")
    assert reason(data) == "unreadable"


def test_unknown_transfer_syntax() -> None:
    data = compressed([b"\0" * 64], RAMP, JPEGLSLossless)
    video = data.replace(b"1.2.840.10008.1.2.4.80\0", b"1.2.840.10008.1.2.4.10\0")
    video = data.replace(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.99")
    assert reason(video) == "unsupported"


def test_compressed_syntax_without_fragments() -> None:
    data = dicom(RAMP)
    at = data.index(b"1.2.840.10008.1.2.1\0")
    # The same length, so the file stays whole: the syntax says RLE, the pixels are raw.
    assert reason(data[:at] + b"1.2.840.10008.1.2.5\0" + data[at + 20 :]) == "unreadable"


def test_patient_in_another_character_set() -> None:
    built = dataset(RAMP, SpecificCharacterSet="ISO_IR 192", PatientID="Жук-1")
    assert decode_upload(written(built))[1].patient == "Жук-1"
    built = dataset(RAMP, SpecificCharacterSet="ISO_IR 100", PatientID="Jérôme")
    assert decode_upload(written(built))[1].patient == "Jérôme"


def test_limit_counts_decoded_bytes() -> None:
    data = dicom(np.zeros((100, 100), np.uint16))
    assert decode_upload(data, limit=40_000)[0].shape == (100, 100)
    assert reason(data, limit=20_000) == "too large"


def test_pydicom_reads_what_the_helper_writes() -> None:
    volume = np.arange(3 * 4 * 6, dtype=np.uint16).reshape(3, 4, 6)
    read = pydicom.dcmread(io.BytesIO(enhanced(volume, [[0.0, 0.0, 1.0 * n] for n in range(3)])))
    np.testing.assert_array_equal(read.pixel_array, volume)
