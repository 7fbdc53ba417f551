"""XML: the elements that repeat become rows, their attributes and children columns."""

from collections import Counter
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import polars as pl
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

__all__ = ["read_xml"]


def read_xml(data: bytes, *, record: str | None = None) -> pl.DataFrame:
    """Read records.

    Args:
        record: the name of the element that is a row; the most frequent child unless given.

    Raises:
        ValueError: it is no XML, declares entities, or has no such element.
    """
    try:
        root: Element = fromstring(data)
    except (ParseError, DefusedXmlException, RecursionError) as error:
        raise ValueError(f"it is no XML that is safe to read: {error!r}") from error
    if record is None:
        counts = Counter(child.tag for child in root)
        if not counts:
            raise ValueError("its root holds no elements that could be rows")
        record = counts.most_common(1)[0][0]
    rows = [_row(element) for element in root.iter(record)]
    if not rows:
        raise ValueError(f"it has no element {record!r}")
    frame = pl.from_dicts(rows, infer_schema_length=None)
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return frame.with_columns(_typed(frame[name]) for name in texts)


def _row(element: Element) -> dict[str, Any]:
    row: dict[str, Any] = {_bare(name): value for name, value in element.attrib.items()}
    for child in element:
        text = (child.text or "").strip()
        row[_bare(child.tag)] = text or None
        row |= {f"{_bare(child.tag)}.{_bare(n)}": value for n, value in child.attrib.items()}
    if not len(element):
        row["text"] = (element.text or "").strip() or None
    return row


def _bare(name: str) -> str:
    return name.rpartition("}")[2]


def _typed(values: pl.Series) -> pl.Series:
    """Return text as numbers where all of it are; leading zeros are no numbers."""
    known = values.drop_nulls()
    if known.len() and known.str.contains(r"^-?(0|[1-9][0-9]{0,17})$").all():
        return values.cast(pl.Int64)
    if (
        known.len()
        and known.str.contains(r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$").all()
    ):
        return values.cast(pl.Float64)
    return values
