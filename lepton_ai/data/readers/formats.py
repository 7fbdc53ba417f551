"""Formats: the endings of files, and what reads them, imported at first use."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import polars as pl

__all__ = ["FORMATS", "load_reader"]

_HERE = "lepton_ai.data.readers"
FORMATS = {
    ".json": f"{_HERE}.json:read_json",
    ".arrow": f"{_HERE}.arrow:read_arrow",
    ".feather": f"{_HERE}.arrow:read_arrow",
    ".xlsx": f"{_HERE}.excel:read_excel",
    ".xls": f"{_HERE}.excel:read_excel",
    ".ods": f"{_HERE}.excel:read_excel",
    ".xml": f"{_HERE}.xml:read_xml",
}


def load_reader(suffix: str) -> Callable[..., pl.DataFrame] | None:
    """Return what reads files of an ending; None where nothing does."""
    path = FORMATS.get(suffix.lower())
    if path is None:
        return None
    module, _, name = path.partition(":")
    reader: Callable[..., Any] = getattr(import_module(module), name)
    return reader
