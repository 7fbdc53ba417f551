"""Media types: what a file is, by its first bytes where they say so, else by its ending."""

import mimetypes
from collections.abc import Sequence
from functools import cache

__all__ = ["HEAD_BYTES", "media_types"]

# As many first bytes as the longest mark below takes.
HEAD_BYTES = 16
_UNKNOWN = "application/octet-stream"
_TEXT = "text/plain"

# First bytes -> type. Source: the "magic" rules of the freedesktop shared-mime-info database.
_MARKS = {
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"PK\x03\x04": "application/zip",
    b"PK\x05\x06": "application/zip",
    b"\x1f\x8b": "application/gzip",
    b"BZh": "application/x-bzip2",
    b"\xfd7zXZ\x00": "application/x-xz",
    b"\x28\xb5\x2f\xfd": "application/zstd",
    b"7z\xbc\xaf\x27\x1c": "application/x-7z-compressed",
    b"Rar!\x1a\x07": "application/vnd.rar",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "application/x-ole-storage",
    b"{\\rtf": "application/rtf",
    b"PAR1": "application/vnd.apache.parquet",
    b"ARROW1": "application/vnd.apache.arrow.file",
    b"SQLite format 3\x00": "application/vnd.sqlite3",
    b"\x7fELF": "application/x-executable",
    b"MZ": "application/vnd.microsoft.portable-executable",
    b"%!PS": "application/postscript",
    b"OggS": "audio/ogg",
    b"ID3": "audio/mpeg",
    b"fLaC": "audio/flac",
}
_BY_FIRST: dict[bytes, list[bytes]] = {}
for _mark in _MARKS:
    _BY_FIRST.setdefault(_mark[:1], []).append(_mark)

# Types that are a container of another: the ending says of which.
_CONTAINERS = {
    "application/zip": ("application/vnd.", "application/epub", "application/java-archive"),
    "application/x-ole-storage": ("application/msword", "application/vnd.ms-"),
    "image/tiff": ("image/",),
}
# Endings that Python's own table, which differs between machines, lacks or names otherwise.
_ENDINGS = {
    "csv": "text/csv",
    "dcm": "application/dicom",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "eml": "message/rfc822",
    "geojson": "application/geo+json",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "log": _TEXT,
    "md": "text/markdown",
    "ndjson": "application/x-ndjson",
    "nii": "application/x-nifti",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "tsv": "text/tab-separated-values",
    "txt": _TEXT,
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}


def media_types(paths: Sequence[str], heads: Sequence[bytes]) -> list[str]:
    """Return the media type of each file, such as ``application/pdf``.

    First bytes that are some format's mark decide; inside what they leave open (an Office file is
    a ZIP archive), and where there is no mark, the ending does. Without either it is text where
    the first bytes are, else ``application/octet-stream``.

    Args:
        paths: of the files.
        heads: their first `HEAD_BYTES` bytes.
    """
    found = []
    for path, head in zip(paths, heads, strict=True):
        marks = _BY_FIRST.get(head[:1])
        mark = next((m for m in marks if head.startswith(m)), None) if marks else None
        ending = _of_ending(path.rpartition(".")[2])
        if mark is None:
            found.append(ending or (_TEXT if _is_text(head) else _UNKNOWN))
        else:
            marked = _MARKS[mark]
            inside = ending and ending.startswith(_CONTAINERS.get(marked, ()))
            found.append(ending if inside else marked)
    return found


@cache
def _of_ending(ending: str) -> str:
    known = _ENDINGS.get(ending.lower())
    return known or mimetypes.types_map.get(f".{ending.lower()}", "")


def _is_text(head: bytes) -> bool:
    return bool(head) and all(byte > 31 or byte in b"\t\n\r\f" for byte in head)
