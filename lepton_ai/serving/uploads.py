"""Uploaded files: the raw body with its content type, or the files of a multipart form.

A leaf: it takes files out of requests and does not look into them.
"""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lepton_ai.core.errors import InvalidInput
from lepton_ai.serving.messages import HttpError

__all__ = ["MOST_FILES", "files_of", "is_upload"]

MOST_FILES = 4096
"""The most files that one form may bring: a volume has a thousand slices or two."""

_RAW = {
    "application/dicom",
    "application/gzip",
    "application/octet-stream",
    "application/x-gzip",
    "application/x-nifti",
}
_ADVICE = (
    "send a file as it is, with its content type (curl -H 'Content-Type: application/dicom' "
    "--data-binary @scan.dcm), or in a form (curl -F file=@scan.dcm)"
)


def is_upload(media_type: str) -> bool:
    """Tell whether a body of this media type brings files."""
    return media_type in _RAW or media_type.startswith(("image/", "multipart/"))


def files_of(content_type: str, body: bytes) -> list[bytes]:
    """Return the files that a body brings, in order.

    Args:
        content_type: the header as received, with its parameters.
        body: the HTTP body.

    Raises:
        HttpError: 415 for a content type that brings no files, 400 for a broken form.
        InvalidInput: the body is empty, or a form has no or too many files.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if not is_upload(media_type):
        raise HttpError(415, f"the content type {media_type!r} brings no file; {_ADVICE}")
    if not media_type.startswith("multipart/"):
        if not body:
            raise InvalidInput(f"the body is empty; {_ADVICE}")
        return [body]
    if media_type != "multipart/form-data":
        raise HttpError(415, f"of forms, only multipart/form-data is read, not {media_type}")
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise HttpError(400, "the content type multipart/form-data names no boundary")
    form = _Form()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin,
                "on_header_begin": form.header_begin,
                "on_header_field": form.header_field,
                "on_header_value": form.header_value,
                "on_header_end": form.header_end,
                "on_part_data": form.data,
                "on_part_end": form.end,
                "on_end": form.close,
            },
        )
        parser.write(body)
    except FormParserError as error:
        raise HttpError(400, f"the form is broken: {error}") from None
    if not form.closed:
        raise HttpError(400, "the form ends before its last boundary")
    if not form.files:
        raise InvalidInput(f"the form has no file; {_ADVICE}")
    return form.files


class _Form:
    """Collects the files of a form, in memory; fields that are no files are passed over."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.closed = False
        self._parts = 0
        self._field = b""
        self._value = b""
        self._is_file = False
        self._data = bytearray()

    def begin(self) -> None:
        self._parts += 1
        if self._parts > 2 * MOST_FILES:
            # Each costs more time than its few bytes tell.
            raise HttpError(400, f"the form has more than {2 * MOST_FILES} parts")
        self._is_file = False
        self._data = bytearray()

    def header_begin(self) -> None:
        self._field = self._value = b""

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._is_file = b"filename" in parse_options_header(self._value)[1]

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._data += data[start:end]

    def end(self) -> None:
        if not self._is_file:
            return
        if len(self.files) == MOST_FILES:
            raise InvalidInput(f"the form has more than {MOST_FILES} files; send fewer at a time")
        self.files.append(bytes(self._data))

    def close(self) -> None:
        self.closed = True
