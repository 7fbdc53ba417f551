"""ARFF: the attribute-relation files of Weka and OpenML, row by row.

Dense files are read (waikato.github.io/weka-wiki/formats_and_processing/arff_stable); sparse and
relational ones are refused. Nominal values become text, whole or not all numbers float64.
"""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import polars as pl

from lepton_ai.data.readers.blocks import Block, blocks, lines_of
from lepton_ai.data.readers.kinds import Part, Rows, typed_frames
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["read_arff"]

_ATTRIBUTE = re.compile(
    r"@attribute\s+(?P<name>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\S+)\s+(?P<kind>.+)",
    re.IGNORECASE,
)
# One value, up to the comma after it or the end.
_VALUE = re.compile(
    r"\s*(?:'(?P<single>(?:[^'\\]|\\.)*+)'|\"(?P<double>(?:[^\"\\]|\\.)*+)\""
    r"|(?P<bare>(?!\s*['\"])[^,]*))\s*(?=,|$)"
)
# What a declared type is read as; the values of a date tell its kind.
_KINDS = {
    "numeric": "Float64", "real": "Float64", "integer": "Float64", "string": "String",
    "{": "String", "date": "",
}  # fmt: skip


def read_arff(
    file: BinaryIO,
    rejects: Rejects,
    *,
    encoding: str = "utf-8",
    types: Mapping[str, str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Read an ARFF file, and reject rows that are not whole or of another type than declared.

    Args:
        encoding: of the text; a byte order mark overrules UTF-8.
        types: of columns, over what is declared; names of `readers.kinds.TYPES`.

    Raises:
        ValueError: what stands above the rows is not as the format says.
    """
    kinds, used = _header(next(blocks(file, encoding), None))

    def parts(bad: Rejects) -> Iterator[Part]:
        for number, block in enumerate(blocks(file, encoding)):
            rows = _rows(block, list(kinds), bad, skip=0 if number else used)
            yield Part(rows.frame, lambda rows=rows: rows)  # type: ignore[misc]

    declared = {name: kind for name, kind in kinds.items() if kind}
    return typed_frames(parts, rejects, types={**declared, **(types or {})})


def _header(block: Block | None) -> tuple[dict[str, str], int]:
    """Return the kind of each column, and the number of the line above the rows."""
    kinds: dict[str, str] = {}
    for number, line in enumerate(lines_of(block.data) if block is not None else (), start=1):
        word = line.strip().lower()
        if word.startswith("@data"):
            if not kinds:
                raise ValueError("there is no @attribute line")
            return kinds, number
        if not word.startswith("@attribute"):
            continue
        found = _ATTRIBUTE.match(line.strip())
        said = found["kind"].strip().lower() if found else ""
        kind = next((kind for word, kind in _KINDS.items() if said.startswith(word)), None)
        if found is None or kind is None:
            raise ValueError(
                f"line {number} is no attribute of numbers, text, dates or {{values}}: "
                f"{line.strip()[:200]}"
            )
        name = re.sub(r"\\(.)", r"\1", found["name"].strip("'\""))
        if name in kinds:
            raise ValueError(f"the columns {[name]} occur more than once; rename them")
        kinds[name] = kind
    raise ValueError("there is no @data line")


def _rows(block: Block, names: list[str], rejects: Rejects, *, skip: int) -> Rows:
    kept: list[list[str | None]] = []
    where: list[int] = []
    texts: list[str] = []
    for number, line in enumerate(lines_of(block.data)[skip:], start=block.line + skip):
        text = line.strip()
        if not text or text.startswith("%"):
            continue
        fields = _fields(text)
        if isinstance(fields, str):
            rejects.add(number, fields, text)
        elif len(fields) != len(names):
            reason = f"ragged: {len(fields)} values for {len(names)} attributes"
            rejects.add(number, reason, text)
        else:
            kept.append(fields)
            where.append(number)
            texts.append(text)
    return Rows(pl.DataFrame(kept, dict.fromkeys(names, pl.String), orient="row"), where, texts)


def _fields(text: str) -> list[str | None] | str:
    """Return the values of a line, or the reason there are none."""
    if text.startswith("{"):
        return "sparse: save the file in dense form"
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text):
        return "not text"
    fields: list[str | None] = []
    at = 0
    while at <= len(text):
        found = _VALUE.match(text, at)
        if found is None:
            return "broken: a quote is open, or something follows one"
        quoted = found["single"] if found["single"] is not None else found["double"]
        if quoted is not None:
            fields.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            bare = found["bare"].strip()
            fields.append(None if bare == "?" else bare)
        at = found.end() + 1
    return fields
