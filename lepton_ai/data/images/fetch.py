"""From entries to arrays: fetch the files of a batch of images, decode, transform."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.data.images.decode import decode_rows
from lepton_ai.data.images.image import ImageEntry, ImageMeta
from lepton_ai.data.transforms import (
    Channels,
    CropOrPad,
    Resample,
    Resize,
    Transform,
    apply_transforms,
)
from lepton_ai.storage import Workspace

__all__ = ["batches", "decoded"]

_BATCH = 32  # images in a batch; more, where one file holds them
_BATCH_BYTES = 4 * 2**20


def batches(
    entries: Iterable[ImageEntry], transforms: Sequence[Transform]
) -> Iterator[tuple[int, list[ImageEntry]]]:
    """Group neighbours: small images, and images of one file, so that it is fetched once.

    Each batch comes with the bytes it takes in memory.
    """
    batch: list[ImageEntry] = []
    size = 0
    for entry in entries:
        shared = bool(batch) and entry.index is not None and batch[-1].parts == entry.parts
        if size >= _BATCH_BYTES or (len(batch) >= _BATCH and not shared):
            yield size, batch
            batch, size = [], 0
        batch.append(entry)
        size += _footprint(entry.meta, transforms)
    if batch:
        yield size, batch


def _footprint(meta: ImageMeta, transforms: Sequence[Transform]) -> int:
    """Return about how many bytes an image takes at its largest, on its way to an array."""
    end = len(meta.shape) - (meta.channels > 1)
    space = meta.shape[max(0, end - 3) : end]
    others = math.prod(meta.shape) // max(1, math.prod(space))
    pixels = largest = float(math.prod(space))
    for step in transforms:
        if isinstance(step, Resize | CropOrPad):
            pixels = math.prod(step.shape * (len(space) if len(step.shape) == 1 else 1))
        elif isinstance(step, Resample) and meta.spacing is not None:
            target = step.spacing * (len(space) if len(step.spacing) == 1 else 1)
            pixels *= math.prod(meta.spacing) / math.prod(target)
        elif isinstance(step, Channels):
            others = others // meta.channels * 3
        largest = max(largest, pixels)
    return int(largest * others * max(4, np.dtype(meta.dtype).itemsize))


def decoded(
    workspace: Workspace, batch: Sequence[ImageEntry], transforms: Sequence[Transform]
) -> list[NDArray[Any]]:
    """Return the arrays of a batch; a file that holds several of its images is decoded once."""
    arrays = []
    limit = workspace.settings.max_image_bytes
    held = workspace.objects.get_many(part.address for entry in batch for part in entry.parts)
    for (reader, parts), same in groupby(batch, key=lambda entry: (entry.reader, entry.parts)):
        files = [held[part.address] for part in parts]
        entries = list(same)
        rows = decode_rows(reader, files, [entry.index for entry in entries], limit=limit)
        for entry, array in zip(entries, rows, strict=True):
            arrays.append(apply_transforms(transforms, array, entry.meta) if transforms else array)
    return arrays
