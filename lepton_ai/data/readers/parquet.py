"""Parquet files, batch by batch."""

from collections.abc import Iterator
from typing import BinaryIO

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from lepton_ai.data.readers.rejects import Rejects

__all__ = ["read_parquet"]

_ROWS = 65_536
_BUFFER = 2**20


def read_parquet(file: BinaryIO, rejects: Rejects) -> Iterator[pl.DataFrame]:
    """Read a Parquet file.

    Raises:
        ValueError: it is none, or is damaged, as one whose end is missing.
    """
    file.seek(0)
    try:
        # A buffer of its own size: else a column's part of a row group is read in one go.
        whole = parquet.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
        yield pl.DataFrame(whole.schema_arrow.empty_table())
        for batch in whole.iter_batches(batch_size=_ROWS):
            batch.validate(full=True)
            yield pl.DataFrame(pa.Table.from_batches([batch]))
    except (pa.ArrowException, OSError, pl.exceptions.PanicException) as error:
        raise ValueError(f"it is no whole Parquet file: {error}") from error
