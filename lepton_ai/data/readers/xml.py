"""XML: the elements that repeat become rows, their attributes and children columns."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element, ParseError

import polars as pl
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from lepton_ai.data.readers.kinds import Part, Rows, typed_frames
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["read_xml"]

_ROWS = 20_000
_DEEPEST = 200

_Values = dict[str, list[str | None]]


def read_xml(
    file: BinaryIO,
    rejects: Rejects,
    *,
    record: str | None = None,
    types: Mapping[str, str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Read records, one in memory at a time.

    What lies deeper becomes a column ``a.b``; what a record holds several times, a list.

    Args:
        record: the name of the element that is a row; the most frequent child of the root unless
            given.
        types: of columns where values do not tell; names of `readers.kinds.TYPES`.

    Raises:
        ValueError: it is no XML, declares entities, or has no such element.
    """
    wanted = record or _frequent(file)
    most: dict[str, int] = {}
    for values in _records(file, wanted):
        for name, found in values.items():
            most[name] = max(most.get(name, 1), len(found))
    if not most:
        raise ValueError(f"it has no element {wanted!r} that holds a value")
    schema = {name: pl.String if count == 1 else pl.List(pl.String) for name, count in most.items()}

    def parts(_: Rejects) -> Iterator[Part]:
        rows: list[_Values] = []
        first = 1
        for values in _records(file, wanted):
            rows.append(values)
            if len(rows) == _ROWS:
                yield _part(rows, schema, first)
                first += len(rows)
                rows = []
        yield _part(rows, schema, first)

    return typed_frames(parts, rejects, types=types)


def _part(rows: list[_Values], schema: dict[str, Any], first: int) -> Part:
    columns = {
        name: [one.get(name, [None])[0] if kind == pl.String else one.get(name) for one in rows]
        for name, kind in schema.items()
    }
    frame = pl.DataFrame(columns, schema=schema)
    numbers = range(first, first + len(rows))
    return Part(frame, lambda: Rows(frame, numbers, [str(row) for row in rows]))


def _frequent(file: BinaryIO) -> str:
    counts = Counter(element.tag for depth, element in _elements(file, "") if depth == 1)
    if not counts:
        raise ValueError("its root holds no elements that could be rows")
    return counts.most_common(1)[0][0]


def _records(file: BinaryIO, wanted: str) -> Iterator[_Values]:
    for _, element in _elements(file, wanted):
        if wanted in (element.tag, _bare(element.tag)):
            values: _Values = {}
            _collect(element, "", values)
            yield values


def _elements(file: BinaryIO, wanted: str) -> Iterator[tuple[int, Element]]:
    """Yield elements as they end, with their depth; what lies outside the wanted ones goes."""
    file.seek(0)
    above: list[Element] = []
    inside = 0
    try:
        for event, element in iterparse(file, ("start", "end")):
            here = wanted in (element.tag, _bare(element.tag))
            if event == "start":
                above.append(element)
                inside += here
                if len(above) > _DEEPEST:
                    raise ValueError(f"its elements are nested more than {_DEEPEST} deep")
                continue
            above.pop()
            inside -= here
            yield len(above), element
            if not inside and above:
                above[-1].remove(element)
    except (ParseError, DefusedXmlException, LookupError) as error:
        raise ValueError(f"it is no XML that is safe to read: {error!r}") from error


def _collect(element: Element, name: str, values: _Values) -> None:
    """Take the values of an element and what it holds, under its name and a dot."""
    before = f"{name}." if name else ""
    for key, value in element.attrib.items():
        values.setdefault(before + _bare(key), []).append(value)
    for child in element:
        _collect(child, before + _bare(child.tag), values)
    text = (element.text or "").strip() or None
    if text or not len(element):
        values.setdefault(name or "text", []).append(text)


def _bare(name: str) -> str:
    return name.rpartition("}")[2]
