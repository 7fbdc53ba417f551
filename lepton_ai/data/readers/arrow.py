"""Arrow IPC files, also called Feather."""

import io

import polars as pl

__all__ = ["read_arrow"]


def read_arrow(data: bytes) -> pl.DataFrame:
    """Read an Arrow file, or a stream of Arrow.

    Raises:
        ValueError: it is none, or is damaged.
    """
    read = pl.read_ipc if data[:6] == b"ARROW1" else pl.read_ipc_stream
    try:
        return read(io.BytesIO(data))
    except (OSError, pl.exceptions.PanicException) as error:
        raise ValueError(f"it is no whole Arrow file: {error}") from error
