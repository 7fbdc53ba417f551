"""Readers: files of other formats as frames, one format a file; `FORMATS` is the table of them.

A reader takes the bytes of a file and options, and returns a Polars frame. What it cannot read it
refuses by ValueError, or an error of Polars, whose text says where.
"""

from lepton_ai.data.readers.formats import FORMATS, load_reader

__all__ = ["FORMATS", "load_reader"]
