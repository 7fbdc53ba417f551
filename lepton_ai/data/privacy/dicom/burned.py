"""Text that is burned into pixels: which images may have some, by header and by looks.

No text is read. What looks like a line of letters, many small marks of the brightest value side by
side, makes an image suspicious; handwriting, or grey text on a busy background, is not found.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["suspicion"]

# Kinds of images that commonly carry the patient's name in their pixels.
_MODALITIES = {"US", "SC", "OT", "XC", "ES", "GM", "SM", "OP", "DOC", "SR", "IVUS", "BDUS"}
_LETTERS = 8
_FRAMES = 32


def suspicion(dataset: Any, pixels: NDArray[Any] | None) -> str:
    """Return why an image may have text burned in; nothing where there is no reason.

    Args:
        pixels: (frames..., rows, columns[, 3]) as stored; None where there are none.
    """
    said = str(dataset.get("BurnedInAnnotation", "")).upper()
    if said == "YES":
        return "its header says that text is burned in"
    if said != "NO":
        modality = str(dataset.get("Modality", "")).upper()
        if modality in _MODALITIES:
            return f"modality {modality} often has text in its pixels, and its header is silent"
        if "SECONDARY" in str(dataset.get("ImageType", "")).upper() and modality in ("", "OT"):
            return "it is a secondary capture, and the header says nothing of text"
    if pixels is not None and pixels.size and _looks_written(pixels):
        return "marks in its pixels look like letters"
    return ""


def _looks_written(pixels: NDArray[Any]) -> bool:
    colours = pixels.ndim >= 3 and pixels.shape[-1] in (3, 4)
    frames = pixels.max(axis=-1) if colours else pixels
    frames = frames.reshape(-1, *frames.shape[-2:])
    # Text on one frame is on its neighbours too.
    step = max(1, len(frames) // _FRAMES)
    return any(_plane_looks_written(frame) for frame in [*frames[::step], frames[-1]])


def _plane_looks_written(plane: NDArray[Any]) -> bool:
    from scipy import ndimage

    if min(plane.shape) < 48 or plane.max() == plane.min():
        return False
    low, high = float(plane.min()), float(plane.max())
    # Drawn text is as bright, or as dark, as the image gets; its edges are blended a little.
    for extreme in (plane >= low + 0.85 * (high - low), plane <= low + 0.05 * (high - low)):
        marks, count = ndimage.label(extreme)
        if not _LETTERS <= count <= 5000:
            continue
        boxes = ndimage.find_objects(marks)
        sizes = np.bincount(marks.ravel(), minlength=count + 1)[1:]
        letters = []
        for box, size in zip(boxes, sizes, strict=True):
            height, width = (part.stop - part.start for part in box)
            if 5 <= height <= 48 and 1 <= width <= 48 and size / (height * width) >= 0.15:
                letters.append((box[0].stop, height))
        for bottom, height in letters:
            line = [1 for b, h in letters if abs(b - bottom) <= 2 and abs(h - height) <= height / 2]
            if len(line) >= _LETTERS:
                return True
    return False
