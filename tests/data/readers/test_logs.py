"""Logs by pattern, against lines whose fields are known."""

from datetime import UTC, datetime

import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.readers.logs import PATTERNS, read_log
from tests.data.readers.reading import read

COMBINED = (
    b'203.0.113.9 - ada [10/Oct/2026:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326 '
    b'"http://x.org/" "Mozilla/4.08"\n'
    b"this is no line of it\n"
    b'203.0.113.9 - - [10/Oct/2026:13:55:37 -0700] "GET /b HTTP/1.0" 404 - "-" "curl"\n'
)
FIRST = datetime(2026, 10, 10, 20, 55, 36, tzinfo=UTC)


def test_web_servers() -> None:
    frame, bad = read(read_log, COMBINED, pattern="combined")
    assert frame.to_dicts() == [
        {"host": "203.0.113.9", "user": "ada", "time": FIRST,
         "request": "GET /a HTTP/1.0", "status": 200, "bytes": 2326, "referrer": "http://x.org/",
         "agent": "Mozilla/4.08"},
        {"host": "203.0.113.9", "user": None, "time": FIRST.replace(second=37),
         "request": "GET /b HTTP/1.0", "status": 404, "bytes": None, "referrer": None,
         "agent": "curl"},
    ]  # fmt: skip
    assert bad.rows == [(2, "does not fit the pattern", "this is no line of it")]


def test_system_logs() -> None:
    old = b"<34>Oct 11 22:14:15 mymachine su[42]: 'su root' failed for lonvick on /dev/pts/8\n"
    row = read(read_log, old, pattern="syslog")[0].row(0, named=True)
    assert (row["priority"], row["host"], row["program"], row["pid"]) == (34, "mymachine", "su", 42)
    new = b'<165>1 2026-10-11T22:14:15.003Z host.org evntslog - ID47 [x@3 iut="3"] hello\n'
    row = read(read_log, new, pattern="syslog5424")[0].row(0, named=True)
    assert row["time"] == datetime(2026, 10, 11, 22, 14, 15, 3000, tzinfo=UTC)
    assert (row["program"], row["pid"], row["message"]) == ("evntslog", None, "hello")
    plain = b"2026-10-11 22:14:15,123 WARNING disk is nearly full\n"
    assert read(read_log, plain, pattern="plain")[0]["level"].to_list() == ["WARNING"]


def test_patterns_of_ones_own() -> None:
    frame, bad = read(read_log, b"a=1 b=x\na=2 b=y\n?\n\xff\n", pattern=r"a=(?P<a>\d+) b=(?P<b>\w)")
    assert frame.rows() == [(1, "x"), (2, "y")]
    assert [(line, reason) for line, reason, _ in bad.rows] == [
        (3, "does not fit the pattern"), (4, "not text"),
    ]  # fmt: skip
    # An expression that takes others exponential time takes none here.
    with pytest.raises(ValueError, match="no line"):
        read(read_log, b"a" * 50_000 + b"!", pattern=r"^(?P<x>(a+)+)$")
    for wrong in ("(", "no group", r"(\d)", r"(?P<a>x)(?=y)"):
        with pytest.raises(InvalidInput):
            read(read_log, b"x\n", pattern=wrong)
    assert len(PATTERNS) == 5
