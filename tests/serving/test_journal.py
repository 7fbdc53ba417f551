"""The journal: complete after any death of the writer, and silent about what it holds."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from lepton_ai.core.errors import Corrupt
from lepton_ai.serving.journal import JournalWriter, complete, read

SECRET = b"s" * 32


def test_records_come_back_in_order_and_are_sealed(tmp_path):
    writer = JournalWriter(tmp_path, SECRET, "w")
    records = [f"plain text {number}".encode() for number in range(50)]
    for record in records:
        writer.append(record)
    (path,) = tmp_path.iterdir()
    assert list(read(path, SECRET)) == records
    assert b"plain" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert complete(tmp_path) == []
    writer.roll()
    (ready,) = complete(tmp_path)
    assert list(read(ready, SECRET)) == records


def test_long_journals_are_parted(tmp_path):
    writer = JournalWriter(tmp_path, SECRET, "w")
    records = [os.urandom(1 << 20) for _ in range(6)]
    for record in records:
        writer.append(record)
    writer.roll()
    files = complete(tmp_path)
    assert len(files) == 2
    assert [record for file in files for record in read(file, SECRET)] == records


def test_what_a_killed_writer_appended_is_there(tmp_path):
    program = textwrap.dedent(f"""
        import os, signal, sys
        from pathlib import Path
        from lepton_ai.serving.journal import JournalWriter
        writer = JournalWriter(Path({str(tmp_path)!r}), {SECRET!r}, "w")
        for number in range(100):
            writer.append(b"%d" % number)
        print("ready", flush=True)
        signal.pause()
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"ready\n"
        assert complete(tmp_path) == []
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    (path,) = complete(tmp_path)
    assert list(read(path, SECRET)) == [b"%d" % number for number in range(100)]


def test_a_torn_tail_ends_the_records_at_every_length(tmp_path):
    writer = JournalWriter(tmp_path, SECRET, "w")
    ends = []
    for number in range(3):
        writer.append(b"record %d" % number)
        ends.append(next(tmp_path.iterdir()).stat().st_size)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    torn = tmp_path / "torn"
    for length in range(len(data) + 1):
        torn.write_bytes(data[:length])
        whole = sum(end <= length for end in ends)
        assert list(read(torn, SECRET)) == [b"record %d" % n for n in range(whole)]
    torn.write_bytes(data + bytes(4096))
    assert len(list(read(torn, SECRET))) == 3


def test_altered_moved_or_missing_records_are_noticed(tmp_path):
    writer = JournalWriter(tmp_path, SECRET, "w")
    for number in range(3):
        writer.append(b"record %d" % number)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    head, frame = 40, (len(data) - 40) // 3
    first, second, third = (data[head + n * frame : head + (n + 1) * frame] for n in range(3))
    altered = tmp_path / "altered"
    flipped = bytearray(data)
    flipped[head + frame + 10] ^= 1
    for content in (
        bytes(flipped),
        data[:head] + second + first + third,
        data[:head] + second + third,
        data[:head] + first + first,
        b"X" + data[1:],
    ):
        altered.write_bytes(content)
        with pytest.raises(Corrupt):
            list(read(altered, SECRET))
    with pytest.raises(Corrupt):
        list(read(path, b"another secret of thirty-two by."))


def test_a_full_disk_refuses_the_record_and_keeps_those_before(tmp_path):
    resource = pytest.importorskip("resource")
    writer = JournalWriter(tmp_path, SECRET, "w")
    writer.append(b"kept")
    (path,) = tmp_path.iterdir()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))
    try:
        with pytest.raises(OSError, match=r"part of the record|too large"):
            writer.append(b"x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    writer.append(b"later")
    assert list(read(path, SECRET)) == [b"kept", b"later"]


def test_a_file_whose_owner_died_before_it_held_anything_is_removed(tmp_path):
    dead, fresh = tmp_path / "a-00000001.new", tmp_path / "b-00000001.new"
    dead.touch()
    fresh.touch()
    os.utime(dead, (1, 1))
    assert complete(tmp_path) == []
    assert [*tmp_path.iterdir()] == [fresh]


def test_what_a_writer_left_before_its_first_record_is_removed_in_time(tmp_path):
    young, old = tmp_path / "a-00000001.new", tmp_path / "b-00000001.new"
    for path in (young, old):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    assert complete(tmp_path) == []
    assert list(tmp_path.iterdir()) == [young]
