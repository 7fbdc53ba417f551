"""Files out of bodies and forms, which urllib3 writes here."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import urllib3

from lepton_ai.core.errors import InvalidInput
from lepton_ai.serving.images import pictures
from lepton_ai.serving.messages import HttpError
from lepton_ai.serving.uploads import MOST_FILES, files_of

HARD = b"\r\n--boundary--\r\n\0\xff" * 3


def form(*files: bytes, **fields: str) -> tuple[str, bytes]:
    parts = [("file", (f"{i}.dcm", data)) for i, data in enumerate(files)]
    body, content_type = urllib3.encode_multipart_formdata([*fields.items(), *parts])
    return content_type, body


def test_a_raw_body_is_one_file():
    for content_type in ("application/dicom", "image/png", "Application/Octet-Stream; x=y"):
        assert files_of(content_type, HARD) == [HARD]


def test_a_form_brings_its_files_in_order_and_fields_are_passed_over():
    assert files_of(*form(b"first", HARD, b"", note="hello")) == [b"first", HARD, b""]


def test_forms_without_files_or_with_too_many_are_refused():
    with pytest.raises(InvalidInput, match="no file"):
        files_of(*form(note="hello"))
    with pytest.raises(InvalidInput, match=f"more than {MOST_FILES} files"):
        files_of(*form(*[b"x"] * (MOST_FILES + 1)))
    with pytest.raises(InvalidInput, match="empty"):
        files_of("image/png", b"")


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/csv", b"a,b", 415),
        ("application/x-www-form-urlencoded", b"x", 415),
        ("multipart/mixed; boundary=b", b"--b--", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=" + "b" * 1000, b"x", 400),
        ("multipart/form-data; boundary=b", b"nonsense", 400),
    ],
)
def test_other_bodies_are_refused(content_type, body, status):
    with pytest.raises(HttpError) as refused:
        files_of(content_type, body)
    assert refused.value.status == status


def test_a_form_that_was_cut_off_is_refused_at_every_length():
    content_type, body = form(b"some data", b"more")
    for length in range(len(body) - 6):
        with pytest.raises(HttpError, match="form"):
            files_of(content_type, body[:length])


def test_the_images_of_one_form_share_one_limit():
    class OfPictures:
        preparation = SimpleNamespace(meta=None)

    stream = io.BytesIO()
    np.save(stream, np.zeros((100, 100), np.uint8))
    file = stream.getvalue()
    assert len(pictures(OfPictures(), [file] * 3, 30_000)) == 3
    with pytest.raises(InvalidInput, match="too large"):
        pictures(OfPictures(), [file] * 4, 30_000)


def test_a_form_of_many_tiny_fields_is_refused():
    field = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    body = field * (2 * MOST_FILES + 1) + b"--b--\r\n"
    with pytest.raises(HttpError, match="parts"):
        files_of("multipart/form-data; boundary=b", body)
