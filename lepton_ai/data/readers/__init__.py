"""Readers: files as frames, one format a file; `formats` gives the table of them.

A reader takes a file, what to do with rows that do not fit, and options, and yields Polars frames.
What it cannot read it refuses by ValueError, or an error of Polars, whose text says where.
"""

from lepton_ai.data.readers.formats import Format, Reader, formats, suffixes
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["Format", "Reader", "Rejects", "formats", "suffixes"]
