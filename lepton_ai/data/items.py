"""Items: what is known of each image of a set, as a table."""

import polars as pl

from lepton_ai.data import access
from lepton_ai.data.images.image import ImageEntry
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.security.principal import current_principal

__all__ = ["ITEM_COLUMNS", "item_frame"]

ITEM_COLUMNS: dict[str, pl.DataType] = {
    "id": pl.String(),
    "label": pl.String(),
    "group": pl.String(),
    "patient": pl.String(),
    "study": pl.String(),
    "series": pl.String(),
    "modality": pl.String(),
    "shape": pl.List(pl.Int64()),
    "channels": pl.Int64(),
    "pixel_type": pl.String(),
    "spacing": pl.List(pl.Float64()),
    "files": pl.Int64(),
    "bytes": pl.Int64(),
    "path": pl.String(),
    "pixels_sha256": pl.String(),
}


def item_frame(images: ImageSet) -> pl.DataFrame:
    """Return a row for each image of a set; columns that are tagged are masked as in tables.

    ``shape`` is that of the array, ``spacing`` in mm, ``path`` and ``bytes`` are those of the
    image's first file and of all its files.

    Raises:
        AccessDenied: a column is tagged ``secret`` and whoever acts has no grant for it.
    """
    rows = [_row(entry) for entry in images.entries]
    frame = pl.DataFrame(rows, schema=ITEM_COLUMNS, orient="row")
    names = list(ITEM_COLUMNS)
    hidden = access.view(images.workspace, images.dataset, names, current_principal())
    return access.mask(frame, hidden)


def _row(entry: ImageEntry) -> tuple[object, ...]:
    meta = entry.meta
    return (
        entry.id, entry.label, entry.group, meta.patient, meta.study, meta.series, meta.modality,
        list(meta.shape), meta.channels, meta.dtype,
        None if meta.spacing is None else list(meta.spacing),
        len(entry.parts), sum(part.size for part in entry.parts), entry.parts[0].path, entry.pixels,
    )  # fmt: skip
