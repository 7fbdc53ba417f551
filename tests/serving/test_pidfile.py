"""A pid file says who owns it only while the owner lives."""

import subprocess
import sys
import textwrap

import pytest

from lepton_ai.core.errors import Conflict
from lepton_ai.serving.pidfile import PidFile


def test_one_owner_until_it_is_released(tmp_path):
    file = PidFile(tmp_path / "run" / "server.pid")
    assert not file.held()
    assert file.read(int) is None
    file.acquire()
    assert file.held()
    assert file.read(int) is None
    file.write(12345)
    file.write(7)
    other = PidFile(file.path)
    assert other.read(int) == 7
    with pytest.raises(Conflict):
        other.acquire()
    file.release()
    assert other.read(int) is None
    other.acquire()
    other.release()


def test_the_death_of_the_owner_frees_it(tmp_path):
    program = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from lepton_ai.serving.pidfile import PidFile
        file = PidFile(Path({str(tmp_path)!r}) / "x.pid")
        file.acquire()
        file.write(os.getpid())
        print("ready", flush=True)
        signal.pause()
    """)
    file = PidFile(tmp_path / "x.pid")
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"ready\n"
        assert file.read(int) == owner.pid
        owner.kill()
    assert file.path.read_bytes() != b""
    assert file.read(int) is None
    file.acquire()
    file.release()
