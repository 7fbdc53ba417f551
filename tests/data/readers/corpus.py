"""A valid file of every format, and hostile ones beside it."""

import gzip
import io
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa

__all__ = ["FRAME", "HOSTILE", "PATTERN", "WRITERS"]

FRAME = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "name": ["Ada", 'said "no"', None, "two\nlines"],
        "x": [1.5, -2.0, None, 1e300],
        "day": [date(2026, 3, 29), None, date(1969, 12, 31), date(2026, 10, 25)],
        "at": [datetime(2026, 3, 29, 1, tzinfo=UTC), None, datetime(1969, 1, 1, tzinfo=UTC), None],
    }
)
PATTERN = r"^(?P<id>\d+) \[(?P<at>[^\]]*)\] (?P<name>.*)$"


def _csv() -> bytes:
    return FRAME.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%z").encode()


def _xml() -> bytes:
    return (
        b"<?xml version='1.0'?><people xmlns:n='u'>"
        b"<person id='1'><n:name>Ada</n:name><x>1.5</x><tel>1</tel><tel>2</tel></person>"
        b"<person id='2'><n:name/><home><city>Ulm &amp; more</city></home></person></people>"
    )


def _arff() -> bytes:
    return (
        b"% people\n@relation people\n@attribute 'the id' numeric\n@attribute name string\n"
        b"@attribute kind {a,'b c'}\n@attribute day date \"yyyy-MM-dd\"\n@data\n"
        b"1,Ada,a,2026-03-29\n2,'it\\'s',?,?\n?,\"x, y\",'b c',2026-10-25\n"
    )


def _log() -> bytes:
    return b"1 [2026-03-29T01:00:00Z] started\n2 [2026-03-29T01:00:01Z] said \xc3\xa9\n\n3 [-] -\n"


def _nested() -> bytes:
    return (
        pl.DataFrame(
            {"id": [1, 2], "a": [{"b": 1, "c": [1, 2]}, {"b": 2, "c": []}], "big": [10**18, 2]}
        )
        .write_ndjson()
        .encode()
    )


def _parquet() -> bytes:
    out = io.BytesIO()
    FRAME.write_parquet(out)
    return out.getvalue()


def _arrow() -> bytes:
    out = io.BytesIO()
    FRAME.write_ipc(out)
    return out.getvalue()


def _stream() -> bytes:
    out = io.BytesIO()
    FRAME.write_ipc_stream(out, compat_level=pl.CompatLevel.oldest())
    return out.getvalue()


def _xlsx() -> bytes:
    out = io.BytesIO()
    FRAME.drop("at").to_pandas().to_excel(out, index=False)
    return out.getvalue()


# By a name of the case: the ending, and what writes the file.
WRITERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "csv": (".csv", _csv),
    "utf16": (".csv", lambda: _csv().decode().encode("utf-16")),
    "json": (".json", lambda: FRAME.write_json().encode()),
    "ndjson": (".ndjson", _nested),
    "parquet": (".parquet", _parquet),
    "arrow": (".arrow", _arrow),
    "stream": (".arrow", _stream),
    "xlsx": (".xlsx", _xlsx),
    "arff": (".arff", _arff),
    "xml": (".xml", _xml),
    "log": (".log", _log),
}


def _lying(size: int) -> bytes:
    """A workbook whose last entry says that it unfolds to so many bytes."""
    data = bytearray(_xlsx())
    place = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, place + 24, size)
    return bytes(data)


def _wide_stream() -> bytes:
    out = io.BytesIO()
    table = pa.table({"a": pa.array([1, 2], pa.int64())})
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return out.getvalue()[:-16]


_ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
HOSTILE: dict[str, tuple[str, bytes | Callable[[], bytes], dict[str, Any]]] = {
    "billion laughs": (".xml", f'<!DOCTYPE r [<!ENTITY e0 "ha">{_ENTITIES}]><r><x>&e11;</x></r>'
                       .encode(), {}),
    "external entity": (".xml", b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r><x>&a;'
                        b"</x></r>", {}),
    "external DTD": (".xml", b'<!DOCTYPE r SYSTEM "http://127.0.0.1:1/x"><r><x>&a;</x></r>', {}),
    "deep XML": (".xml", b"<a>" * 200_000, {}),
    "attributes without end": (".xml", b"<r><a " + b"b" * 2**20, {}),
    "deep JSON": (".json", b"[" * 200_000, {}),
    "deep records": (".json", b'[{"a":' + b'{"a":' * 500 + b"1" + b"}" * 501 + b"]",
                     {"flatten": True}),
    "deep lines": (".ndjson", b'{"a":' * 5000 + b"1" + b"}" * 5000, {}),
    "long digits": (".ndjson", b'{"a":' + b"9" * 100_000 + b"}", {}),
    "numbers without end": (".json", b'[{"a": 1e999}]', {}),
    "zip bomb": (".xlsx", lambda: _lying(2**31), {}),
    "lying zip": (".xlsx", lambda: _lying(10), {}),
    "empty zip": (".xlsx", b"PK\x05\x06" + bytes(18), {}),
    "truncated footer": (".parquet", lambda: _parquet()[:-20], {}),
    "wrong footer size": (".parquet", lambda: _parquet()[:-8] + b"\xff\xff\xff\x7fPAR1", {}),
    "encrypted footer": (".parquet", lambda: _parquet()[:-4] + b"PARE", {}),
    "cut batch": (".arrow", _wide_stream, {}),
    "wide flatbuffer": (".arrow", b"\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(64), {}),
    "open quotes": (".csv", b"a,b\n" + b'"x,1\n' * 3000, {}),
    "quotes within": (".csv", b'a,b\n1,"x"y\n2,"z""\n', {}),
    "surrogates": (".csv", b"a,b\n1,\xed\xa0\x80\n", {}),
    "half of UTF-16": (".csv", "a,b\n1,2\n".encode("utf-16")[:-1], {}),
    "lone half": (".csv", "a,b\n1,".encode("utf-16") + b"\x00\xd8\n\x00", {}),
    "NUL": (".csv", b"a,b\n1,\0\n", {}),
    "backtracking": (".log", b"a" * 50_000 + b"!", {"pattern": r"^(?P<x>(a+)+)$"}),
    "sparse": (".arff", b"@attribute x real\n@data\n{0 1}\n", {}),
    "compressed": (".csv", gzip.compress(b"a,b\n1,2\n"), {}),
}  # fmt: skip
