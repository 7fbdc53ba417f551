"""Functions that tests send to workers; a worker process imports them by name."""

import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np


def square(x):
    return x * x


def add(a, b):
    return a + b


def concatenate(a, b):
    return a + b


def fail(x):
    raise ValueError(f"no {x}")


def calculate(iterations):
    """Stay in native code, which no interrupt reaches."""
    return hashlib.pbkdf2_hmac("sha256", b"", b"", iterations)


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def total(array):
    return float(np.sum(array))


def fails_twice(folder):
    """Fail until it has been called three times, counting through files."""
    count = len(list(Path(folder).iterdir()))
    (Path(folder) / str(count)).touch()
    if count < 2:
        raise RuntimeError("not yet")
    return count


def dies_once(arguments):
    """Kill the worker process, the first time for this item."""
    folder, item = arguments
    marker = Path(folder) / str(item)
    if item % 7 == 0 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def always_dies(_):
    os.kill(os.getpid(), signal.SIGKILL)
