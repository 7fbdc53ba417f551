"""read_pdf: another process takes a PDF apart, with bounded time and memory.

The format is a maze of references and compressed streams, and a file that is made for it keeps any
parser busy without end. A leaf.
"""

import subprocess
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

__all__ = ["SECONDS", "PdfContents", "read_pdf"]

SECONDS = 60


class PdfContents(Struct):
    """Everything that a PDF says.

    Attributes:
        texts: of pages, forms, notes, bookmarks and metadata, of older revisions of the file too.
        parts: decoded streams, such as attachments, and strings as they are written.
        bare: pages that show something and hold no text, such as scans.
        unread: why something in it could not be read; empty where everything was.
    """

    texts: list[str] = []
    parts: list[bytes] = []
    bare: int = 0
    unread: list[str] = []


def read_pdf(data: bytes) -> PdfContents:
    """Return what a PDF says, as far as it opens without a password, in at most `SECONDS`."""
    root = str(Path(__file__).resolve().parents[3])
    program = (
        f"import sys; sys.path.append({root!r}); from lepton_ai.data.pdf.contents import main; "
        "main()"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", program],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
        return msgspec.msgpack.decode(done.stdout, type=PdfContents)
    except subprocess.TimeoutExpired:
        return PdfContents(unread=[f"it is not read within {SECONDS} s"])
    except msgspec.DecodeError:
        return PdfContents(unread=[f"it ends the process that reads it (code {done.returncode})"])
