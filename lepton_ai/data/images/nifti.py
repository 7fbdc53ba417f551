"""NIfTI-1 and NIfTI-2 files, single (.nii), gzip-compressed or not.

The array's axes are those of the file in reverse, (z, y, x) or (t, z, y, x), so it lies in memory
as in the file. The affine, which the format gives in RAS, becomes spacing, origin and direction
in LPS, as in DICOM. Source: the NIfTI-1.1 and NIfTI-2 data formats, nifti.nimh.nih.gov.
"""

from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.images.inflate import gunzip, is_gzip
from lepton_ai.data.images.rescale import rescale, rescaled_type

__all__ = ["is_nifti", "read_nifti"]

_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_SECONDS = {8: 1.0, 16: 1e-3, 24: 1e-6}
# Intents 3000 to 3099 are CIFTI matrices of brain connectivity: no axis of theirs is space.
_CIFTI = range(3000, 3100)
_HEADER = 544  # the longer of the two headers, with the flag of its extensions


def is_nifti(head: bytes) -> bool:
    """Say whether unpacked bytes start with a NIfTI header, of a single file or a pair."""
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def read_nifti(data: bytes, limit: int) -> tuple[NDArray[Any], ImageMeta]:
    """Decode a NIfTI file: values with ``scl_slope`` and ``scl_inter`` applied, and metadata.

    Raises:
        Unreadable: the header is broken or contradicts itself, the data are cut short or of an
            unsupported kind, or they are larger than the limit in bytes.
    """
    head = gunzip(data, _HEADER, whole=False) if is_gzip(data) else data[:_HEADER]
    header = _header(head)
    shape = _shape(header)
    stored: np.dtype[Any] = header.get_data_dtype()
    channels = 3 if stored.fields else 1
    if stored.kind not in "iufV" or (stored.fields and set(stored.fields) - set("RGBA")):
        raise Unreadable("unsupported", f"NIfTI data of type {stored}")
    if stored.itemsize > 8:
        raise Unreadable("unsupported", f"NIfTI data of {8 * stored.itemsize} bits")
    count = int(np.prod(shape, dtype=object))
    start = _start(header)
    width = max(stored.itemsize, 4 if channels == 1 else 3)
    if count * width > limit:
        raise Unreadable("too large", f"{shape} numbers of {stored} are above {limit} bytes")
    if is_gzip(data):
        # Extensions come before the data; nothing should come after.
        data = gunzip(data, start + count * stored.itemsize + 2**20)
    if len(data) < start + count * stored.itemsize:
        raise Unreadable(
            "truncated",
            f"{shape} numbers of {stored} need {count * stored.itemsize} bytes; "
            f"there are {max(len(data) - start, 0)}",
        )
    flat = np.frombuffer(data, stored, count, start)
    if channels == 3:
        array = np.stack([flat[name] for name in "RGB"], axis=-1).reshape(*shape[::-1], 3)
    else:
        array = flat.astype(stored.newbyteorder("="), copy=False).reshape(shape[::-1])
        array = _scaled(header, array)
    while array.ndim - (channels == 3) > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim - (channels == 3) > 4:
        raise Unreadable("unsupported", f"NIfTI data of {array.ndim} dimensions")
    return array, _meta(header, array, channels)


def _header(head: bytes) -> Any:
    newer = head[4:8] in (b"n+2\0", b"ni2\0")
    kind: Any = nibabel.Nifti2Header if newer else nibabel.Nifti1Header
    if b"ni" in (head[344:346], head[4:6]):
        raise Unreadable("unsupported", "a NIfTI pair (.hdr and .img); convert it to a single .nii")
    size = kind.template_dtype.itemsize
    if len(head) < size:
        raise Unreadable("truncated", f"the NIfTI header has {len(head)} bytes of {size}")
    try:
        header = kind(head[:size], check=False)
        header.get_data_dtype()
    except Exception as error:  # nibabel raises its own and NumPy's
        raise Unreadable("unreadable", f"the NIfTI header is broken: {error}") from error
    if int(header["sizeof_hdr"]) != size:
        raise Unreadable("unreadable", f"the NIfTI header says its size is {header['sizeof_hdr']}")
    if int(header["intent_code"]) in _CIFTI:
        raise Unreadable("unsupported", "a CIFTI matrix, which is no image")
    return header


def _shape(header: Any) -> tuple[int, ...]:
    dim = [int(size) for size in header["dim"]]
    if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1:
        raise Unreadable("unreadable", f"the NIfTI header says its dimensions are {dim}")
    shape = dim[1 : dim[0] + 1]
    while len(shape) < 2:
        shape.append(1)
    return tuple(shape)


def _start(header: Any) -> int:
    start = float(header["vox_offset"])
    smallest = header.template_dtype.itemsize
    if not (start == 0 or smallest <= start < 2**40):
        raise Unreadable("unreadable", f"the NIfTI header says the data start at byte {start:g}")
    return int(start) or smallest + 4


def _scaled(header: Any, array: NDArray[Any]) -> NDArray[Any]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite(slope) or slope == 0:
        return array
    if not np.isfinite(intercept):
        raise Unreadable("unreadable", f"scl_inter is {intercept}")
    lowest, highest = 0, 0
    if array.dtype.kind in "iu":
        lowest, highest = int(np.iinfo(array.dtype).min), int(np.iinfo(array.dtype).max)
    dtype = rescaled_type(array.dtype, lowest, highest, slope, intercept)
    return rescale(array, dtype, slope, intercept)


def _meta(header: Any, array: NDArray[Any], channels: int) -> ImageMeta:
    attributes: dict[str, str] = {}
    space = min(array.ndim - (channels == 3), 3)
    units = int(header["xyzt_units"])
    unit = _MM.get(units & 7, 1.0)
    spacing: tuple[float, ...] | None = None
    origin = axes = None
    affine = _affine(header)
    if affine is None:
        attributes["orientation"] = "unknown"
        sizes = [abs(float(size)) for size in header["pixdim"][1 : space + 1]]
    else:
        # RAS to LPS turns the first two axes of the patient over.
        turned = np.diag([-1.0, -1.0, 1.0]) @ affine[:3] * unit
        norms = np.linalg.norm(turned[:, :3], axis=0)
        cosines = turned[:, :3] / norms
        if not np.allclose(cosines.T @ cosines, np.eye(3), atol=1e-3):
            attributes["sheared"] = "the axes are not at right angles"
        origin = tuple(float(value) for value in turned[:, 3])
        axes = tuple(float(value) for value in cosines.ravel())
        sizes = [float(norm) / unit for norm in norms[:space]]
    if all(np.isfinite(size) and size > 0 for size in sizes):
        spacing = tuple(size * unit for size in reversed(sizes))
    else:
        attributes["bad_spacing"] = " ".join(f"{size:g}" for size in sizes)
    step = float(header["pixdim"][4])
    if array.ndim - (channels == 3) == 4 and np.isfinite(step) and units & 56 in _SECONDS:
        attributes["time_step"] = f"{step * _SECONDS[units & 56]:g} s"
    text = bytes(header["descrip"].item()).split(b"\0")[0].decode("latin-1").strip()
    if text:
        attributes["descrip"] = text
    return ImageMeta(
        shape=array.shape,
        dtype=array.dtype.name,
        channels=channels,
        spacing=spacing,
        origin=origin,  # type: ignore[arg-type] # three figures
        direction=axes,  # type: ignore[arg-type] # nine figures
        attributes=attributes,
    )


def _affine(header: Any) -> NDArray[np.float64] | None:
    """Return the affine that the file states: sform, else qform; None where it states none."""
    if int(header["sform_code"]) > 0:
        affine = np.asarray(header.get_sform(), np.float64)
    elif int(header["qform_code"]) > 0:
        try:
            affine = np.asarray(header.get_qform(), np.float64)
        except Exception:  # nibabel raises its own errors for impossible quaternions
            return None
    else:
        return None
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        return None
    return affine
