"""Plain: files of unencrypted tables, which follow their workspace wherever it lies.

Iceberg names files by their whole paths. A workspace that was moved, or restored elsewhere, finds
its own by the end of those paths, and never touches those of the workspace it is a copy of.
"""

import os
import re
from pathlib import Path
from urllib.parse import unquote

from pyiceberg.io import OutputFile
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.typedef import EMPTY_DICT, Properties

from lepton_ai.storage.files import sync_directory

__all__ = ["PlainIO", "location_of", "path_of", "table_folder"]

# Of a file: namespace, table, data or metadata, name.
_DEPTH = 4


class PlainIO(PyArrowFileIO):
    """Reads and writes the files of a workspace's unencrypted tables.

    Args:
        home: of the workspace.

    Attributes:
        written: the files that were begun.
    """

    def __init__(self, home: Path) -> None:
        super().__init__({})
        self._home = home
        self.written: list[Path] = []

    def new_output(self, location: str) -> OutputFile:  # type: ignore[override]
        """Return a file to write, which no other has the name of."""
        self.written.append(path_of(self._home, location))
        return super().new_output(location)

    def sync(self) -> None:
        """Make what was written durable, as what names it is about to be."""
        for path in self.written:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        inside = (path.relative_to(self._home) for path in self.written)
        for folder in {folder for path in inside for folder in path.parents}:
            sync_directory(self._home / folder)

    def undo(self) -> None:
        """Remove what was written: nothing names it."""
        for path in self.written:
            path.unlink(missing_ok=True)

    def parse_location(  # type: ignore[override]
        self, location: str, properties: Properties = EMPTY_DICT
    ) -> tuple[str, str, str]:
        """Return scheme, host and path of a file; its location stays what Iceberg calls it."""
        return "file", "", str(path_of(self._home, location))


def location_of(home: Path, namespace: str, table: str) -> str:
    """Return the location of a new table, of letters that every tool reads as they are."""
    folder = home.joinpath(
        "tables", *(re.sub(r"[^\w.-]", "_", part, flags=re.ASCII) for part in (namespace, table))
    )
    return f"file://{folder.as_posix()}"


def path_of(home: Path, location: str) -> Path:
    """Return where the file of a location lies."""
    return _here(home, location, _DEPTH)


def table_folder(home: Path, location: str) -> Path:
    """Return where the files of a table lie, by the location of the table."""
    return _here(home, location, _DEPTH - 2)


def _here(home: Path, location: str, depth: int) -> Path:
    return home.joinpath("tables", *unquote(location).split("/")[-depth:])
