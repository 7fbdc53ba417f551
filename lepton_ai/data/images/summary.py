"""ImageSummary: what an image set holds, counted."""

from collections import Counter
from collections.abc import Sequence
from typing import Self

from msgspec import Struct

from lepton_ai.data.images.image import ImageEntry, Rejected

__all__ = ["ImageSummary"]


class ImageSummary(Struct, frozen=True):
    """Counts of a set: images by class, shape, pixel type and modality, and files kept aside."""

    images: int
    patients: int
    classes: dict[str, int]
    unlabelled: int
    shapes: dict[tuple[int, ...], int]
    dtypes: dict[str, int]
    modalities: dict[str, int]
    rejected: dict[str, int]

    @classmethod
    def of(cls, entries: Sequence[ImageEntry], rejected: Sequence[Rejected]) -> Self:
        """Count images and the files that were kept aside."""
        metas = [entry.meta for entry in entries]
        labels = Counter(entry.label for entry in entries if entry.label is not None)
        return cls(
            images=len(entries),
            patients=len({entry.group or entry.id for entry in entries}),
            classes={label: labels[label] for label in sorted(labels)},
            unlabelled=sum(entry.label is None for entry in entries),
            shapes=dict(Counter(meta.shape for meta in metas).most_common()),
            dtypes=dict(Counter(meta.dtype for meta in metas).most_common()),
            modalities=dict(Counter(meta.modality or "not said" for meta in metas).most_common()),
            rejected=dict(Counter(file.reason for file in rejected).most_common()),
        )

    def __str__(self) -> str:
        lines = [f"{self.images} images of {self.patients} patients or files"]
        if self.classes:
            lines.append("classes: " + _counted(self.classes))
        if self.unlabelled:
            lines.append(f"without a label: {self.unlabelled}")
        shapes = {" x ".join(map(str, shape)): count for shape, count in self.shapes.items()}
        lines.append("shapes: " + _counted(shapes))
        lines.append("pixels: " + _counted(self.dtypes))
        lines.append("modalities: " + _counted(self.modalities))
        if self.rejected:
            aside = sum(self.rejected.values())
            lines.append(f"set aside, {aside} files: " + _counted(self.rejected))
        return "\n".join(lines)


def _counted(counts: dict[str, int]) -> str:
    shown = ", ".join(f"{name} ({count})" for name, count in list(counts.items())[:10])
    return shown + (f" and {len(counts) - 10} more" if len(counts) > 10 else "")
