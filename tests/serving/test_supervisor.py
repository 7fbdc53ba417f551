"""The supervisor and a replica that hangs."""

import sys
import time

import pytest

from lepton_ai.core.settings import Settings
from lepton_ai.serving import supervisor
from lepton_ai.serving.pidfile import PidFile

# It says once that it is ready, as a replica does, and is never heard of again.
MUTE = """
import json, os, sys, time
os.write(json.loads(sys.argv[1])["line"], b"+")
time.sleep(60)
"""


@pytest.fixture
def attended(tmp_path, monkeypatch):
    """A supervisor with one replica that falls silent, and what attends to it."""
    monkeypatch.setattr(supervisor, "_SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(
        supervisor, "command", lambda module, argument: [sys.executable, "-c", MUTE, argument]
    )
    (tmp_path / "serving").mkdir()
    settings = Settings.load(tmp_path, environ={})
    own = supervisor.Supervisor(settings, PidFile(tmp_path / "serving" / "server.pid"))
    own._was_ready = True
    (listener,) = supervisor.listen("127.0.0.1", 0, 1)
    replica = supervisor._Replica(0, listener)
    replica.start(str(tmp_path), 1)
    yield own, replica
    replica.process.kill()
    replica.process.wait()
    replica.line.close()
    listener.close()


def test_a_replica_that_hangs_is_replaced(attended):
    own, replica = attended
    first, deadline = replica.process.pid, time.monotonic() + 20
    while replica.process is None or replica.process.pid == first:
        assert time.monotonic() < deadline
        assert own._attend([replica]) == 0
        time.sleep(0.05)
    assert not replica.ready


def test_a_replica_that_is_not_ready_yet_may_take_its_time(attended):
    _, replica = attended
    replica.ready, replica.heard_at = False, time.monotonic() - 3600
    assert not replica.silent(time.monotonic())
