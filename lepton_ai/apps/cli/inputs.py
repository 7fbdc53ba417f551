"""What a command is asked about: records as JSON, a table file, or image files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.read_table import read_frame
from lepton_ai.data.readers import suffixes

__all__ = ["value_of"]


def value_of(inputs: Sequence[str]) -> Any:
    """Return a frame, records, or paths of image files.

    Raises:
        InvalidInput: a record is not JSON, or a file is not there.
    """
    if len(inputs) == 1 and inputs[0].lstrip().startswith(("{", "[")):
        try:
            return msgspec.json.decode(inputs[0])
        except msgspec.DecodeError as error:
            raise InvalidInput(f"the record is not valid JSON: {error}") from error
    paths = [Path(text) for text in inputs]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise InvalidInput(f"there is no file {missing[0]}; a record is written as JSON")
    if len(paths) == 1 and paths[0].is_file() and paths[0].suffix.lower() in suffixes():
        return read_frame(paths[0])
    return paths
