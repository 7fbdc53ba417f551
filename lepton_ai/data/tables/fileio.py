"""FileIO: the files of encrypted tables, as PyIceberg wants them; each one is an object.

A location is ``lepton://<table>/<folder>/<name>``. The table `files` of the database maps it to
an object, so encryption, verification, key rotation, collection and backup are those of objects.
"""

from typing import Any

import sqlalchemy as sa
from pyiceberg.io import FileIO, InputFile, OutputFile
from pyiceberg.typedef import EMPTY_DICT, Properties

from lepton_ai.core.errors import InvalidInput
from lepton_ai.storage import ObjectInfo, Transaction, Workspace
from lepton_ai.storage.cipher import SealedReader
from lepton_ai.storage.schema import files
from lepton_ai.storage.stream import ObjectStream

__all__ = ["SCHEME", "ObjectIO"]

SCHEME = "lepton://"


class ObjectIO(FileIO):
    """The files of one workspace's encrypted tables.

    Args:
        transaction: what is written joins it; without one, files can only be read.
    """

    def __init__(
        self,
        properties: Properties = EMPTY_DICT,
        *,
        workspace: Workspace,
        transaction: Transaction | None = None,
    ) -> None:
        super().__init__(properties)
        self.workspace = workspace
        self.transaction = transaction
        self.written: dict[str, _Output] = {}
        self._infos: dict[str, ObjectInfo] = {}

    def new_input(self, location: str) -> InputFile:
        """Return a file to read."""
        return self.written.get(location) or _Input(location, self)

    def new_output(self, location: str) -> OutputFile:
        """Return a file to write."""
        return _Output(location, self)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Forget a file in the transaction; a collection gives its room back."""
        where = location if isinstance(location, str) else location.location
        if self.transaction is None:
            raise InvalidInput(f"{where} cannot be deleted outside a transaction")
        if self.written.pop(where, None) is None:
            self.transaction.execute(sa.delete(files).where(files.c.location == where))

    def keep_written(self) -> None:
        """Name what was written in the transaction, which must have ended its streams."""
        assert self.transaction is not None
        for location, output in self.written.items():
            self.transaction.file(location, output.address)

    def info(self, location: str) -> ObjectInfo | None:
        """Return the object that a location means; None when there is no such file."""
        found = self._infos.get(location)
        if found is None:
            with self.workspace.database.read() as connection:
                address = connection.scalar(
                    sa.select(files.c.address).where(files.c.location == location)
                )
            if address is None:
                return None
            found = self._infos[location] = self.workspace.objects.info(address)
        return found


class _Input(InputFile):
    def __init__(self, location: str, io: ObjectIO) -> None:
        super().__init__(location)
        self._io = io

    def _info(self) -> ObjectInfo:
        info = self._io.info(self.location)
        if info is None:
            raise FileNotFoundError(f"there is no file {self.location} in this workspace")
        return info

    def __len__(self) -> int:
        return self._info().size

    def exists(self) -> bool:
        return self._io.info(self.location) is not None

    def open(self, seekable: bool = True) -> SealedReader:
        return self._io.workspace.objects.reader(self._info())


class _Output(OutputFile, InputFile):
    """A file that this transaction writes, and may read again."""

    def __init__(self, location: str, io: ObjectIO) -> None:
        super().__init__(location)
        self._io = io
        self._stream: ObjectStream | None = None

    def create(self, overwrite: bool = False) -> Any:
        if self._io.transaction is None:
            raise InvalidInput(f"{self.location} cannot be written outside a transaction")
        self._stream = self._io.transaction.create()
        self._io.written[self.location] = self
        return self._stream

    @property
    def address(self) -> str:
        assert self._stream is not None
        assert self._stream.sealed is not None
        return self._stream.sealed.address

    def __len__(self) -> int:
        return 0 if self._stream is None else self._stream.size

    def exists(self) -> bool:
        return self._stream is not None or self._io.info(self.location) is not None

    def to_input_file(self) -> InputFile:
        return self

    def open(self, seekable: bool = True) -> Any:
        assert self._stream is not None
        return self._stream.reader()
