"""Files larger than memory: rows go through it, and do not stay."""

import io

import polars as pl
import pytest

from lepton_ai.data.readers import Rejects, blocks
from lepton_ai.data.readers.delimited import read_delimited


def test_a_text_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_PIECE", 2**12)
    text = "a,b\n" + "".join(f'{number},"x\n{number}"\n' for number in range(5000))
    frames = [*read_delimited(io.BytesIO(text.encode()), Rejects())]
    assert len(frames) > 10
    assert max(frame.height for frame in frames) < 600
    assert pl.concat(frames).rows() == [(n, f"x\n{n}") for n in range(5000)]
