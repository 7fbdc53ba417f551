"""ARFF: the attribute-relation files of Weka and OpenML, as a Polars frame.

Dense files are read (waikato.github.io/weka-wiki/formats_and_processing/arff_stable); sparse and
relational ones are refused. Nominal values become text, whole or not all numbers float64.
"""

import csv
import re

import polars as pl

__all__ = ["read_arff"]

_ATTRIBUTE = re.compile(
    r"@attribute\s+(?P<name>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\S+)\s+(?P<kind>.+)",
    re.IGNORECASE,
)
_NUMBERS = ("numeric", "real", "integer")
_TEXTS = ("string", "{")


def read_arff(text: str) -> pl.DataFrame:
    """Read the text of an ARFF file.

    Raises:
        ValueError: a line is not as the format says; the message names it.
    """
    kinds: dict[str, pl.DataType] = {}
    lines = enumerate(text.splitlines(), start=1)
    for number, line in lines:
        word = line.strip().lower()
        if word.startswith("@data"):
            break
        if not word.startswith("@attribute"):
            continue
        found = _ATTRIBUTE.match(line.strip())
        kind = found["kind"].strip().lower() if found else ""
        if found is None or not kind.startswith(_NUMBERS + _TEXTS):
            raise ValueError(
                f"line {number} is no attribute of numbers, text or {{values}}: {line}"
            )
        name = re.sub(r"\\(.)", r"\1", found["name"].strip("'\""))
        if name in kinds:
            raise ValueError(f"the columns {[name]} occur more than once; rename them")
        kinds[name] = pl.Float64() if kind.startswith(_NUMBERS) else pl.String()
    else:
        raise ValueError("there is no @data line")
    rows: list[list[str | None]] = []
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("%"):
            continue
        if line.lstrip().startswith("{"):
            raise ValueError(f"line {number} is sparse; save the file in dense form")
        quote = '"' if line.count('"') > line.count("'") else "'"
        (fields,) = csv.reader([line], quotechar=quote, escapechar="\\", skipinitialspace=True)
        if len(fields) != len(kinds):
            raise ValueError(f"line {number} has {len(fields)} values for {len(kinds)} attributes")
        rows.append([None if field.strip() == "?" else field.strip() for field in fields])
    frame = pl.DataFrame(rows, schema=dict.fromkeys(kinds, pl.String), orient="row")
    return frame.cast(kinds)  # type: ignore[arg-type]
