"""Damaged and hostile files: each gives rows, rejected rows or one error of ours, and soon."""

import contextlib
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lepton_ai.core.errors import LeptonError
from lepton_ai.data.read_table import read_frame
from lepton_ai.data.readers import formats
from tests.data.readers.corpus import HOSTILE, PATTERN, WRITERS

pytestmark = pytest.mark.slow

# A damaged file of some kilobytes takes no longer, on however busy a machine.
_SECONDS = 20.0


def attempt(path: Path, **options: object) -> pl.DataFrame | None:
    """Read a file in both ways, and return what is kept; None where it is refused."""
    start = time.monotonic()
    if path.suffix == ".log":
        options = {"pattern": PATTERN, **options}
    kept = None
    with contextlib.suppress(LeptonError):
        read_frame(path, **options)
    with contextlib.suppress(LeptonError):
        kept = read_frame(path, rejects="keep", **options)
    assert time.monotonic() - start < _SECONDS
    return kept


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Written once: a workbook holds the time it was written, and so changes in length."""
    return {name: write() for name, (_, write) in WRITERS.items()}


@st.composite
def damage(draw: st.DrawFn, content: bytes) -> bytes:
    """Flip bits, put other bytes in, take some out, repeat some, or cut the end off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.integers(1, 40))
        match draw(st.sampled_from(["flip", "put", "drop", "repeat", "cut"])):
            case "flip" if data:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "put":
                data[place : place + size] = draw(st.binary(max_size=40))
            case "drop":
                del data[place : place + size]
            case "repeat":
                data[place:place] = data[place : place + size] * draw(st.integers(1, 50))
            case _:
                del data[place:]
    return bytes(data)


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_files(
    name: str,
    data: st.DataObject,
    originals: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{WRITERS[name][0]}"
    path.write_bytes(data.draw(damage(originals[name])))
    attempt(path)


@pytest.mark.parametrize("suffix", sorted({*formats(), ".log"}))
@settings(max_examples=15, deadline=None)
@given(data=st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_noise(suffix: str, data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"noise{suffix}"
    path.write_bytes(data)
    attempt(path)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name: str, tmp_path: Path) -> None:
    suffix, content, options = HOSTILE[name]
    path = tmp_path / f"hostile{suffix}"
    path.write_bytes(content() if callable(content) else content)
    kept = attempt(path, **options)
    # None of them holds a row that could be believed, but for these.
    believed = {"open quotes": 0, "quotes within": 0, "surrogates": 0, "NUL": 0, "sparse": 0}
    assert kept is None or kept.height == believed.get(name), kept


def test_each_cut_of_a_file(originals: dict[str, bytes], tmp_path: Path) -> None:
    for name, (suffix, _) in WRITERS.items():
        whole = originals[name]
        for size in {*range(5), *range(0, len(whole), max(len(whole) // 6, 1)), len(whole) - 1}:
            path = tmp_path / f"cut{suffix}"
            path.write_bytes(whole[:size])
            attempt(path)


def test_the_corpus_has_every_format() -> None:
    covered = {suffix for suffix, _ in WRITERS.values()}
    assert {one.name for suffix, one in formats().items() if suffix in covered} == {
        one.name for one in formats().values()
    }
