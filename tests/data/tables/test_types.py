from time import monotonic

import polars as pl

from lepton_ai.data.tables.types import arrow_of


def test_many_columns_take_time_by_their_number_not_its_square() -> None:
    frame = pl.DataFrame({f"c{number}": [number] for number in range(10_000)})
    start = monotonic()
    assert arrow_of(frame).num_columns == 10_000
    assert monotonic() - start < 10
