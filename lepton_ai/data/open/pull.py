"""pull: an open data set becomes a dataset, its origin, licence and citation in the catalog."""

import difflib
import io
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import polars as pl
from msgspec import structs

from lepton_ai.core.errors import NotFound
from lepton_ai.data import tables
from lepton_ai.data.dataset import Dataset
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry
from lepton_ai.data.frames import checked
from lepton_ai.data.open.fetch import fetch
from lepton_ai.data.open.sets import SETS, Installed, OpenSet
from lepton_ai.data.read_table import read_frame
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace, source_spec

__all__ = ["pull"]


def pull(
    name: str,
    *,
    workspace: Workspace | None = None,
    mirror: str | Path | None = None,
    sets: Mapping[str, OpenSet] = SETS,
) -> Dataset:
    """Store an open data set under its name, and return it; pulled again it is the same version.

    Args:
        name: one of `SETS`; `lepton data pull --list` shows them.
        mirror: a folder that holds sets; the setting ``datasets`` unless given.

    Raises:
        NotFound: there is no such set.
        Unavailable: it can be had nowhere now.
        Corrupt: other bytes came than are known.
    """
    if name not in sets:
        near = difflib.get_close_matches(name, sets, n=3) or sorted(sets)
        raise NotFound(f"there is no open set {name!r}; perhaps {', '.join(near)}")
    place = workspace or Workspace.open()
    wanted = sets[name]
    folder = mirror or place.settings.datasets
    dataset = _store(place, wanted, Path(folder).expanduser() if folder else None)
    change_entry(place, name, lambda entry: _described(entry, wanted, dataset))
    return dataset


def _store(place: Workspace, wanted: OpenSet, mirror: Path | None) -> Dataset:
    for kind in wanted.places:
        if isinstance(kind, Installed):
            return _table(place, wanted, _installed(kind), b"", kind.loader)
    content, where = fetch(wanted, mirror)
    if isinstance(content, Path):
        from lepton_ai.data.images.read import read_images

        return read_images(content, name=wanted.name, label="folder", workspace=place)
    return _table(place, wanted, _READERS[wanted.reader](content), content, where)


def _installed(kind: Installed) -> pl.DataFrame:
    """Read a set of scikit-learn; its classes have names, as "1" does not say which it is."""
    bunch = resolve_name(kind.loader)()
    columns = dict(zip(map(str, bunch.feature_names), bunch.data.T, strict=True))
    return pl.DataFrame({**columns, "target": bunch.target_names[bunch.target]})


def _table(
    place: Workspace, wanted: OpenSet, frame: pl.DataFrame, content: bytes, where: str
) -> Table:
    parents = []
    if content:
        with place.transaction() as transaction:
            sealed = place.objects.seal(content)
            transaction.add(sealed)
            spec = source_spec(place.keys, f"/open/{wanted.name}", sealed)
            facts = {**spec.facts, "path": where, "origin": wanted.origin}
            (node,) = transaction.nodes([structs.replace(spec, facts=facts)])
        parents = [(node.id, "source")]
    made = tables.store_table(place, wanted.name, [checked(frame)], parents=parents)
    return Table(place, made)


def _described(entry: Entry, wanted: OpenSet, dataset: Dataset) -> Entry:
    """Say what the set is, and leave alone what people said of it since."""
    said = (
        f"{wanted.title}. Licence: {wanted.licence}. From {wanted.origin}. Cite: {wanted.citation}"
    )
    columns = dict(entry.columns)
    if isinstance(dataset, Table) and wanted.target in dataset.columns:
        before = columns.get(wanted.target, ColumnEntry())
        tags = tuple(dict.fromkeys([*before.tags, "target"]))
        columns[wanted.target] = structs.replace(before, tags=tags)
    tags = tuple(dict.fromkeys([*entry.tags, "open"]))
    return structs.replace(entry, description=entry.description or said, tags=tags, columns=columns)


def _file(suffix: str) -> Callable[[bytes], pl.DataFrame]:
    def read(content: bytes) -> pl.DataFrame:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"set{suffix}"
            path.write_bytes(content)
            return read_frame(path)

    return read


def _cmapss(content: bytes) -> pl.DataFrame:
    settings = [f"setting{number}" for number in (1, 2, 3)]
    sensors = [f"sensor{number}" for number in range(1, 22)]
    rows = [line.split() for line in content.decode("ascii").splitlines() if line.strip()]
    frame = pl.DataFrame(rows, schema=["engine", "cycle", *settings, *sensors], orient="row")
    whole = pl.col("engine", "cycle").cast(pl.Int64)
    return frame.with_columns(whole, pl.exclude("engine", "cycle").cast(pl.Float64))


def _pems(content: bytes) -> pl.DataFrame:
    """Read flows (steps, sensors) as one column a sensor; the part begins 2016-08-07 04:45."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        flow = archive["flow"].astype(np.int64)
    start = datetime(2016, 8, 7, 4, 45)
    moments = [start + timedelta(minutes=5 * step) for step in range(len(flow))]
    columns: dict[str, Any] = {"moment": moments}
    columns |= {f"sensor{number:03}": flow[:, number] for number in range(flow.shape[1])}
    return pl.DataFrame(columns)


_READERS: dict[str, Callable[[bytes], pl.DataFrame]] = {
    "csv": _file(".csv"),
    "arff": _file(".arff"),
    "cmapss": _cmapss,
    "pems": _pems,
}
