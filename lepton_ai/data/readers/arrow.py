"""Arrow IPC files, also called Feather, batch by batch."""

from collections.abc import Iterator
from typing import BinaryIO

import polars as pl
import pyarrow as pa

from lepton_ai.data.readers.rejects import Rejects

__all__ = ["read_arrow"]


def read_arrow(file: BinaryIO, rejects: Rejects) -> Iterator[pl.DataFrame]:
    """Read an Arrow file, or a stream of Arrow.

    Raises:
        ValueError: it is none, or is damaged.
    """
    file.seek(0)
    whole = file.read(6) == b"ARROW1"
    file.seek(0)
    try:
        reader = pa.ipc.open_file(file) if whole else pa.ipc.open_stream(file)
        yield pl.DataFrame(reader.schema.empty_table())
        count = range(reader.num_record_batches) if whole else None
        batches = map(reader.get_batch, count) if count is not None else iter(reader)
        for batch in batches:
            batch.validate(full=True)
            yield pl.DataFrame(pa.Table.from_batches([batch]))
    except (pa.ArrowException, OSError, pl.exceptions.PanicException) as error:
        raise ValueError(f"it is no whole Arrow file: {error}") from error
