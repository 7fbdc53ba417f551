import io
import os
import threading
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from lepton_ai.core.errors import Corrupt
from lepton_ai.storage.cipher import (
    CHUNK,
    SealedReader,
    Truncated,
    seal,
    seal_chunks,
    seal_content,
    seal_many,
    sealed_size,
    unseal,
    unseal_numbered,
)

KEY = bytes(range(32))
BORDERS = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK]
CONTENT = os.urandom(3 * CHUNK + 12345)
SEALED = seal_content(KEY, CONTENT)


def reader(sealed: bytes, size: int, key: bytes = KEY) -> SealedReader:
    return SealedReader(key, size, lambda offset, n: sealed[offset : offset + n], "test")


@pytest.mark.parametrize("size", BORDERS)
def test_content_of_every_length_comes_back(size: int) -> None:
    content = os.urandom(size)
    sealed = seal_content(KEY, content)
    assert len(sealed) == sealed_size(size)
    assert reader(sealed, size).read() == content


@pytest.mark.parametrize("size", BORDERS)
def test_a_stream_is_sealed_as_the_whole_is(size: int) -> None:
    content = os.urandom(size)
    chunks = iter(content[start : start + CHUNK] for start in range(0, size, CHUNK))
    assert b"".join(seal_chunks(KEY, chunks)) == seal_content(KEY, content)


def test_chunks_follow_the_stream_construction() -> None:
    # By hand: an 11-byte big-endian counter, then 1 for the last chunk and 0 for the others.
    cipher = AESGCM(KEY)
    stride = CHUNK + 16
    plain = b"".join(
        cipher.decrypt(
            number.to_bytes(11, "big") + bytes([number == 3]),
            SEALED[number * stride : (number + 1) * stride],
            None,
        )
        for number in range(4)
    )
    assert plain == CONTENT


@given(
    st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 2 * CHUNK)), max_size=6)
)
@settings(max_examples=60, deadline=None)
def test_any_seek_and_read_gives_what_a_plain_file_gives(steps: list[tuple[int, int]]) -> None:
    ours, plain = reader(SEALED, len(CONTENT)), io.BytesIO(CONTENT)
    for offset, size in steps:
        assert ours.seek(offset) == plain.seek(offset)
        assert ours.read(size) == plain.read(size)
        assert ours.tell() == plain.tell()
        assert ours.pread(offset, size) == CONTENT[offset : offset + size]


def test_a_reader_is_a_binary_file() -> None:
    with reader(SEALED, len(CONTENT)) as file:
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        assert file.seek(-5, io.SEEK_END) == len(CONTENT) - 5
        assert file.seek(2, io.SEEK_CUR) == len(CONTENT) - 3
        assert file.read1() == CONTENT[-3:]
        file.seek(0)
        buffer = bytearray(10)
        assert file.readinto(buffer) == 10
        assert bytes(buffer) == CONTENT[:10]
        assert io.BufferedReader(file).read(20) == CONTENT[10:30]  # type: ignore[type-var]
        with pytest.raises(ValueError, match="before the start"):
            file.seek(-1)


def test_threads_share_a_reader() -> None:
    shared = reader(SEALED, len(CONTENT))
    wrong: list[int] = []

    def read(seed: int) -> None:
        for step in range(200):
            offset = (seed * 7919 + step * 104729) % len(CONTENT)
            if shared.pread(offset, 300) != CONTENT[offset : offset + 300]:
                wrong.append(offset)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@given(st.integers(0, len(SEALED) * 8 - 1))
@settings(max_examples=60, deadline=None)
def test_every_flipped_bit_is_noticed(bit: int) -> None:
    altered = bytearray(SEALED)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Corrupt, match=f"chunk {bit // 8 // (CHUNK + 16)}:"):
        reader(bytes(altered), len(CONTENT)).read()


STRIDE = CHUNK + 16


@pytest.mark.parametrize(
    ("change", "size"),
    [
        pytest.param(lambda s: s[:-1], len(CONTENT), id="last byte cut off"),
        pytest.param(lambda s: b"", len(CONTENT), id="everything cut off"),
    ],
)
def test_truncation_is_noticed(change: Callable[[bytes], bytes], size: int) -> None:
    with pytest.raises(Truncated, match="truncated"):
        reader(change(SEALED), size).read()


@pytest.mark.parametrize(
    ("change", "size"),
    [
        pytest.param(lambda s: s[: 3 * STRIDE], 3 * CHUNK, id="last chunk left out"),
        pytest.param(lambda s: s[STRIDE:], len(CONTENT) - CHUNK, id="first chunk left out"),
        pytest.param(
            lambda s: s[STRIDE : 2 * STRIDE] + s[:STRIDE] + s[2 * STRIDE :],
            len(CONTENT),
            id="chunks swapped",
        ),
        pytest.param(lambda s: s + s[:STRIDE], len(CONTENT) + CHUNK, id="chunk added"),
        pytest.param(lambda s: s, len(CONTENT) - 1, id="size altered"),
    ],
)
def test_moved_or_missing_chunks_are_noticed(change: Callable[[bytes], bytes], size: int) -> None:
    with pytest.raises(Corrupt):
        reader(change(SEALED), size).read()


def test_another_key_opens_nothing() -> None:
    with pytest.raises(Corrupt):
        reader(SEALED, len(CONTENT), bytes(32)).read()


def test_empty_content_is_authenticated_too() -> None:
    with pytest.raises(Corrupt):
        reader(bytes(16), 0).read()


@given(st.binary(max_size=200), st.binary(max_size=20), st.integers(0))
def test_short_values_are_bound_to_key_and_context(data: bytes, context: bytes, n: int) -> None:
    sealed = seal(KEY, data, context)
    assert unseal(KEY, sealed, context) == data
    bit = n % (len(sealed) * 8)
    altered = bytearray(sealed)
    altered[bit // 8] ^= 1 << bit % 8
    for key, value, where in [
        (KEY, bytes(altered), context),
        (KEY, sealed, context + b"x"),
        (bytes(32), sealed, context),
        (KEY, sealed[:-1], context),
        (KEY, b"", context),
    ]:
        with pytest.raises(Corrupt):
            unseal(key, value, where)


def test_equal_values_do_not_look_equal() -> None:
    assert len({seal(KEY, b"same", b"") for _ in range(100)}) == 100


def test_many_short_values_are_each_bound_to_key_place_and_context() -> None:
    values = [b"same", b"same", bytes(32)]
    contexts = [b"a", b"b", b"c"]
    sealed = seal_many(KEY, values, contexts)
    assert [*map(unseal_numbered, [KEY] * 3, sealed, contexts)] == values
    assert len({*sealed, *seal_many(KEY, values, contexts)}) == 6
    flipped = bytearray(sealed[0])
    for bit in range(0, len(flipped) * 8, 7):
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Corrupt):
            unseal_numbered(KEY, bytes(flipped), b"a")
        flipped[bit // 8] ^= 1 << bit % 8
    for wrong in (sealed[0][:20], sealed[0][:-1], b"", seal(KEY, b"same", b"a")):
        with pytest.raises(Corrupt):
            unseal_numbered(KEY, wrong, b"a")
    for key, value, where in ((bytes(32), sealed[0], b"a"), (KEY, sealed[0], b"b")):
        with pytest.raises(Corrupt):
            unseal_numbered(key, value, where)
