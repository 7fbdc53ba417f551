"""ImageSet: a named, versioned set of images, decoded when they are asked for.

The set knows each image's header, label and files; pixels come from the object store, in
parallel, and pass through the recorded transforms on the way.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Self, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from lepton_ai.compute.local import shared_threads
from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.core.progress import track
from lepton_ai.data.access import masked_manifest
from lepton_ai.data.dataset import Dataset, Rows, places_of
from lepton_ai.data.images.display import contact_sheet, thumbnail
from lepton_ai.data.images.fetch import batches, decoded
from lepton_ai.data.images.image import ImageEntry, ImageMeta, Rejected
from lepton_ai.data.images.manifest import Manifest
from lepton_ai.data.images.summary import ImageSummary
from lepton_ai.data.split_report import SplitReport
from lepton_ai.data.transforms import (
    Channels,
    Transform,
    apply_transforms,
    transforms_from,
)
from lepton_ai.security.principal import current_principal
from lepton_ai.storage import Node, Workspace

__all__ = ["Image", "ImageSet"]

_IN_FLIGHT_BYTES = 512 * 2**20


class ImageSet(Dataset):
    """Images of one dataset version, or a selection of them; see `read_images`.

    ``images[3]`` is one `Image`; a slice, a list of numbers or a mask of booleans gives an
    `ImageSet`. Everything but pixels is at hand at once; pixels are decoded on access.

    Attributes:
        entries: what is known of each image.
        transforms: applied to each image after decoding; see `preprocess_images`.
        rejected: the files that were kept aside when the folder was read, and why.
        folder: where the files were read from.
    """

    def __init__(
        self,
        workspace: Workspace,
        dataset: Node,
        manifest: Manifest,
        *,
        transforms: Iterable[Transform] = (),
        rows: Rows | None = None,
        node: Node | None = None,
        split: SplitReport | None = None,
    ) -> None:
        super().__init__(workspace, dataset, rows=rows, node=node, split=split)
        self._manifest = manifest
        self.transforms = tuple(transforms)

    @classmethod
    def open(cls, workspace: Workspace, dataset: Node) -> Self:
        """Open the image set of a dataset node.

        What the principal may not see of it is masked, as in tables.

        Raises:
            Corrupt: what is stored was altered.
            AccessDenied: the principal may not see images of the set.
        """
        if dataset.kind == "dataset" and dataset.digest is None:
            raise NotFound(f"the images of {dataset.ref} were erased; open another version")
        if dataset.kind != "dataset" or dataset.digest is None:
            raise InvalidInput(f"{dataset.ref} is a {dataset.kind}, not an image set")
        manifest = Manifest.from_json(workspace.objects.get(dataset.digest))
        seen = masked_manifest(workspace, dataset, manifest, current_principal())
        return cls(workspace, dataset, seen)

    def _like(self, rows: Rows | None, node: Node | None, split: SplitReport | None) -> Self:
        return type(self)(
            self.workspace,
            self.dataset,
            self._manifest,
            transforms=self.transforms,
            rows=rows,
            node=node,
            split=split,
        )

    def _facts(self) -> dict[str, Any]:
        return {"transforms": msgspec.to_builtins(self.transforms)}

    def side(self, node: Node) -> Self:
        """Return the selection that a ``split`` node of this dataset describes."""
        chosen = super().side(node)
        chosen.transforms = transforms_from(node.facts["transforms"])
        return chosen

    def with_transforms(self, transforms: Iterable[Transform]) -> Self:
        """Return the same images with these transforms in the place of the present ones."""
        changed = self._like(self.rows, self.node, self.split)
        changed.transforms = tuple(transforms)
        return changed

    @property
    def folder(self) -> str:
        """Where the files were read from."""
        return self._manifest.folder

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """The files that were kept aside when the folder was read, and why."""
        return self._manifest.rejected

    @cached_property
    def entries(self) -> tuple[ImageEntry, ...]:
        """What is known of each image."""
        whole = self._manifest.entries
        return whole if self.rows is None else tuple(whole[row] for row in self.rows.tolist())

    @cached_property
    def labels(self) -> NDArray[Any] | None:
        """The label of each image, as text; None where no image has one.

        Images without one among labelled images have None, in an array of objects.
        """
        labels = [entry.label for entry in self.entries]
        if all(label is None for label in labels):
            return None
        return np.array(labels, dtype=object if None in labels else str)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({entry.label for entry in self.entries if entry.label is not None}))

    @property
    def groups(self) -> NDArray[np.str_]:
        """What each image belongs to: its patient, else its file."""
        return np.array([entry.group or entry.id for entry in self.entries], dtype=str)

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each image."""
        return tuple(entry.id for entry in self.entries)

    def __len__(self) -> int:
        return len(self._manifest.entries) if self.rows is None else len(self.rows)

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> "Image": ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | Sequence[bool] | NDArray[Any]) -> Self: ...
    def __getitem__(self, key: Any) -> "Image | Self":
        if isinstance(key, int | np.integer) and not isinstance(key, bool | np.bool_):
            if not -len(self) <= key < len(self):
                raise IndexError(f"there are {len(self)} images, 0 to {len(self) - 1}; got {key}")
            return Image(self.workspace, self.entries[int(key)], self.transforms)
        return self.take(places_of(key, len(self)))

    def __iter__(self) -> Iterator["Image"]:
        return (Image(self.workspace, entry, self.transforms) for entry in self.entries)

    def arrays(self, description: str = "decoding images") -> Iterator[NDArray[Any]]:
        """Yield each image as an array, decoded and transformed, in order.

        Threads work ahead of the consumer by at most half a gigabyte, so a set of any size can
        be gone through. Without transforms the arrays are as the files hold them; else float32.

        Args:
            description: what the progress bar on a terminal says.

        Raises:
            Corrupt: stored bytes were altered.
            InvalidInput: a transform needs what an image lacks.
        """
        engine = shared_threads(self.workspace.settings.workers)
        sized = list(batches(self.entries, self.transforms))
        largest = max((size for size, _ in sized), default=1)
        ahead = min(4 * engine.workers, max(engine.workers, _IN_FLIGHT_BYTES // max(largest, 1)))
        results = engine.map(self._decode, (batch for _, batch in sized), in_flight=ahead)
        yield from track(chain.from_iterable(results), description, total=len(self))

    def _decode(self, batch: Sequence[ImageEntry]) -> list[NDArray[Any]]:
        return decoded(self.workspace, batch, self.transforms)

    def batches(self, size: int = 64) -> Iterator[NDArray[Any]]:
        """Yield stacks (size, ...) of so many images, the last one smaller; see `arrays`."""
        stack: list[NDArray[Any]] = []
        for array in self.arrays():
            stack.append(array)
            if len(stack) == size:
                yield _stacked(stack)
                stack = []
        if stack:
            yield _stacked(stack)

    def to_numpy(self) -> NDArray[Any]:
        """Return all images as one array (n, ...); `batches` does with less memory.

        Raises:
            InvalidInput: the images differ in shape, or there are none.
        """
        if not len(self):
            raise InvalidInput("the set holds no images")
        whole: NDArray[Any] | None = None
        first = None
        for place, array in enumerate(self.arrays()):
            if whole is None:
                first = array
                whole = np.empty((len(self), *array.shape), dtype=array.dtype)
            if array.shape != whole.shape[1:] or array.dtype != whole.dtype:
                assert first is not None
                raise _unequal(self.entries[0].id, first, self.entries[place].id, array)
            whole[place] = array
        assert whole is not None
        return whole

    def summary(self) -> ImageSummary:
        """Return counts by class, shape, pixel type and modality; it prints as text."""
        return ImageSummary.of(self.entries, self.rejected)

    def __repr__(self) -> str:
        part = "" if self.rows is None else f", {len(self)} of {len(self._manifest.entries)} images"
        lines = [f"ImageSet {self.ref}{part}", str(self.summary())]
        if self.transforms:
            lines.append("transforms: " + ", ".join(map(repr, self.transforms)))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return contact_sheet(repr(self), self.take(_examples(self.entries)))


class Image:
    """One image of a set; pixels are decoded at the first look and kept."""

    def __init__(
        self, workspace: Workspace, entry: ImageEntry, transforms: Sequence[Transform]
    ) -> None:
        self.entry = entry
        self.transforms = tuple(transforms)
        self._workspace = workspace

    @property
    def id(self) -> str:
        """The image's id within the set."""
        return self.entry.id

    @property
    def label(self) -> str | None:
        """The image's label."""
        return self.entry.label

    @property
    def meta(self) -> ImageMeta:
        """What the header says of the image as it was read, before any transform."""
        return self.entry.meta

    @property
    def paths(self) -> tuple[str, ...]:
        """The image's source files, relative to the folder that was read."""
        return tuple(part.path for part in self.entry.parts)

    @property
    def colour(self) -> bool:
        """Whether the array's last axis holds red, green and blue."""
        counts = [step.count for step in self.transforms if isinstance(step, Channels)]
        return [self.meta.channels, *counts][-1] == 3

    @cached_property
    def pixels(self) -> NDArray[Any]:
        """The image as its files hold it."""
        return decoded(self._workspace, [self.entry], ())[0]

    @cached_property
    def array(self) -> NDArray[Any]:
        """The image after the transforms; float32, where there are any."""
        if not self.transforms:
            return self.pixels
        return apply_transforms(self.transforms, self.pixels, self.meta)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.meta.shape))
        return (
            f"Image {self.id}: {self.meta.modality or 'unknown modality'}, {shape} "
            f"{self.meta.dtype}, label {self.label!r}"
        )

    def _repr_png_(self) -> bytes:
        return thumbnail(self.array, colour=self.colour, side=512)


def _stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    first = arrays[0]
    for place, array in enumerate(arrays):
        if array.shape != first.shape:
            raise _unequal("the first of the batch", first, f"number {place} of it", array)
    return np.stack(arrays)


def _unequal(one: str, first: NDArray[Any], other: str, second: NDArray[Any]) -> InvalidInput:
    return InvalidInput(
        f"the images differ: {one} has shape {first.shape} of {first.dtype}, {other} has "
        f"{second.shape} of {second.dtype}; bring them to one with preprocess_images(images)"
    )


def _examples(entries: Sequence[ImageEntry]) -> list[int]:
    """Return up to twelve places, spread over the set, each class in turn."""
    by_class: dict[str | None, list[int]] = {}
    for place, entry in enumerate(entries):
        by_class.setdefault(entry.label, []).append(place)
    share = max(1, 12 // max(1, len(by_class)))
    spread = [places[:: max(1, len(places) // share)][:share] for places in by_class.values()]
    return sorted(chain.from_iterable(spread))[:12]
