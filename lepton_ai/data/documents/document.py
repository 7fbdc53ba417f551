"""Document: one file of a set, read from the store when it is asked for."""

from datetime import datetime
from typing import BinaryIO, cast

from charset_normalizer import from_bytes
from msgspec import Struct

from lepton_ai.core.errors import AccessDenied, InvalidInput, NotFound
from lepton_ai.storage import Workspace

__all__ = ["Document"]

_TEXTS = ("text/", "application/json", "application/xml", "application/yaml", "message/")
_TEXT_ENDINGS = ("+json", "+xml", "ndjson")


class Document(Struct, frozen=True):
    """One file: what is known of it, and its bytes on demand.

    Attributes:
        path: in the folder that was imported, with ``/``.
        size: bytes.
        media_type: such as ``application/pdf``.
        modified: when the file was last written to, in UTC.
        label: its class folder, where the import asked for it.
        sha256: of its content, in hexadecimal.
    """

    workspace: Workspace
    path: str
    size: int
    media_type: str
    modified: datetime
    label: str | None
    sha256: str
    object: str

    def open(self) -> BinaryIO:
        """Open the content as a seekable file, which is decrypted as it is read.

        Raises:
            AccessDenied: whoever asks sees the column ``object`` masked.
            NotFound: the content was erased.
            Corrupt: stored bytes were altered; reading raises it.
        """
        if self.object == "***":
            raise AccessDenied(
                f"the content of {self.path} is not yours to read: the column 'object' of its set "
                "is tagged; ask its owner for a grant"
            )
        try:
            return cast("BinaryIO", self.workspace.objects.open(self.object))
        except NotFound as error:
            raise NotFound(f"the content of {self.path} was erased") from error

    def read(self) -> bytes:
        """Return the content.

        Raises:
            AccessDenied, NotFound, Corrupt: as `open`.
        """
        return self.open().read()

    def text(self, encoding: str | None = None) -> str:
        """Return the content of a text file.

        Args:
            encoding: UTF-8 unless given; where the bytes are none, what they look like.

        Raises:
            InvalidInput: it is no text, or not in this encoding.
        """
        known = self.media_type.startswith(_TEXTS) or self.media_type.endswith(_TEXT_ENDINGS)
        if not known and encoding is None:
            raise InvalidInput(
                f"{self.path} is {self.media_type}, not text; read() returns its bytes, and "
                "text(encoding=...) decodes them all the same"
            )
        data = self.read()
        try:
            return data.decode(encoding or "utf-8-sig")
        except (UnicodeDecodeError, LookupError) as error:
            guess = from_bytes(data).best() if encoding is None else None
            if guess is None:
                raise InvalidInput(f"{self.path} cannot be decoded as text: {error}") from error
            return str(guess)
