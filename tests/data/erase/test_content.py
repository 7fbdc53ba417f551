"""Content is looked into, through all that wraps it; what cannot be looked into is told."""

import bz2
import gzip
import io
import lzma
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from email.message import EmailMessage

import polars as pl
import pytest

from lepton_ai.data.erase.content import look
from lepton_ai.data.erase.subject import Subject
from lepton_ai.data.pdf import read
from tests.data.erase import papers

WHO = "CANARY-7731"
CANARY = Subject([WHO])
NOBODY = Subject(["CANARY-7732"])
ADA = Subject(["P-1042", "Зоя Ковальчук"])
PLAIN = b"much is said before, " * 99 + b"and CANARY-7731 is in it"


def zipped(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, data)
    return packed.getvalue()


def taped(data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        info = tarfile.TarInfo("a")
        info.size = len(data)
        file.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def found(data: bytes) -> None:
    """It holds the person and nobody else; all of it was read."""
    assert look(CANARY, data).holds
    other = look(NOBODY, data)
    assert (other.holds, other.unread) == (False, ())


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, taped, lambda data: zipped("a", data)],
    ids=["gzip", "bzip2", "xz", "tar", "zip"],
)
def test_archives_are_looked_into(pack: Callable[[bytes], bytes]) -> None:
    found(pack(PLAIN))
    found(zipped("inner", pack(pack(PLAIN))))


def test_every_zlib_stream_of_a_file_is_looked_into() -> None:
    found(zlib.compress(b"nobody") + zlib.compress(PLAIN))
    found(zlib.compress(PLAIN) + b"\n")


def sparse() -> bytes:
    """Return an archive with a file of 8 GiB that are not written."""
    info = tarfile.TarInfo("a")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[483:495] = b"%011o\0" % (2**33 - 1)  # its real size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + bytes(1024)


def test_names_in_archives_and_tables_are_looked_into() -> None:
    assert look(CANARY, zipped(f"{WHO}.txt", b"")).holds
    table, numbers = io.BytesIO(), io.BytesIO()
    pl.DataFrame({"a": ["x", WHO], "n": [[1], [2]]}).write_parquet(table)
    assert look(CANARY, table.getvalue()).holds
    assert not look(NOBODY, table.getvalue()).holds
    pl.DataFrame({"id": [123456, 2]}).write_parquet(numbers)
    assert not look(Subject(["123456"]), numbers.getvalue()).holds
    assert look(Subject(["123456"]), numbers.getvalue(), whole=True).holds


@pytest.mark.parametrize(
    "text",
    [
        "<w:p><w:r><w:t>saw CANARY</w:t></w:r><w:proofErr/><w:r><w:t>-7731</w:t></w:r></w:p>"
        "<w:p><w:r><w:t>then</w:t></w:r></w:p>",
        "<si><r><t>CAN</t></r><r><t>ARY-7731</t></r></si><si><t>then</t></si>",
        "<p>saw <b>CANARY</b>-7731<br/>then</p>",
    ],
)
def test_words_that_a_word_processor_parts_are_found(text: str) -> None:
    found(f"<?xml version='1.0'?><w>{text}</w>".encode())
    found(zipped("word/document.xml", f"<?xml version='1.0'?><w>{text}</w>".encode()))


def test_names_that_a_record_keeps_in_elements_are_found() -> None:
    record = b"<name><given>Zoya</given><family>Kovalchuk</family></name>"
    assert look(Subject(["Zoya Kovalchuk"]), record).holds


@pytest.mark.parametrize(
    "text",
    [
        rb"{\rtf1\ansi Herr J\'fcrgen M\'fcller\par kam}", rb"{\rtf1 J\u252?rgen M\u252 ?ller,}",
        rb"{\rtf1 {\b J\'fcrgen}{\i  M\'fcl}ler\par x}",
    ],
)  # fmt: skip
def test_letters_that_rich_text_escapes_are_found(text: bytes) -> None:
    assert look(Subject(["Jürgen Müller"]), text).holds
    assert not look(Subject(["Jürgen Mülle"]), text).holds


@pytest.mark.parametrize("place", papers.PLACES)
def test_pdfs_are_looked_into(place: str) -> None:
    paper = papers.PLACES[place](WHO)
    assert place == "name" or not CANARY.named_in_bytes(paper)
    found(paper)
    found(gzip.compress(zipped("a.pdf", paper)))


def test_a_pdf_inside_a_medical_image_file_is_looked_into() -> None:
    found(bytes(128) + b"DICM" + bytes(2000) + papers.letter(WHO))


def mail(attached: bytes = b"", text: str = "well", who: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "clinic@example.org"
    message["Subject"] = f"Über {who}"
    message.set_content(text, cte="base64")
    if attached:
        message.add_attachment(attached, "application", "octet-stream", filename="a")
    return message


@pytest.mark.parametrize("coding", ["base64", "quoted-printable"])
@pytest.mark.parametrize("who", ["P-1042", "Зоя Ковальчук"])
def test_emails_are_looked_into(coding: str, who: str) -> None:
    text = f"{'Much is said before. ' * 9}Of {who} it is said that all is well."
    told = EmailMessage()
    told.set_content(text, cte=coding)
    for message in (told, mail(gzip.compress(text.encode())), mail(who=who)):
        data = message.as_bytes()
        assert look(ADA, data).holds
        assert look(Subject(["P-9999"]), data) == look(Subject(["P-9998"]), data)
        assert not look(Subject(["P-9999"]), data).unread


@pytest.mark.parametrize("footer", [b"_", b"__", b"sent to the list of all clinics", b"a b c d e"])
def test_a_line_behind_an_encoded_email_hides_nothing(footer: bytes) -> None:
    found(mail(text=f"about {WHO}").as_bytes() + footer)


@pytest.mark.parametrize(
    "theirs",
    [
        mail(text=f"about {WHO}"), mail(who=WHO), mail(papers.letter(WHO)),
        mail(zipped("word/document.xml", PLAIN)), mail(mail(papers.letter(WHO)).as_bytes()),
    ],
    ids=["text", "subject", "PDF", "Office", "e-mail"],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 1, 9])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_mailboxes_of_many_emails_are_looked_into(
    theirs: EmailMessage, place: int, end: bytes
) -> None:
    mails = [mail(text=f"of nobody\n\nFrom me {n}", attached=bytes(99)) for n in range(9)]
    mails.insert(place, theirs)
    head = b"From clinic@example.org Thu Jan  1 00:00:01 2026\n"
    box = b"\n".join(head + one.as_bytes() for one in mails)
    found(box.replace(b"\n", end))
    found(gzip.compress(box))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"7z\xbc\xaf\x27\x1c....", "7z"), (b"\x28\xb5\x2f\xfd....", "zstd"),
        (b"!BDN....", "Outlook"), (b"\xd0\xcf\x11\xe0....", "Office"),
        (zipped("a", PLAIN)[:-30], "damaged"), (gzip.compress(PLAIN)[:-12], "damaged"),
        (papers.encrypted(WHO, "secret"), "encrypted"),
        (papers.encrypted(WHO, "secret", "RC4-128"), "encrypted"),
        (papers.letter(WHO)[:-50], "cannot be read"), (papers.letter(WHO)[:300], "cannot be read"),
        (mail(papers.encrypted(WHO, "secret")).as_bytes(), "encrypted"),
        (zlib.compress(b"much is said")[:-5], "damaged"), (sparse(), "too much"),
        (papers.own_letters(b"5 0 R", b"<< /Type /Font /Subtype /TrueType /Encoding 6 0 R >>",
                            b"<< /Differences [1 /g0 /g1 /g2] >>"), "letters"),
        (papers.own_letters(b"<< /Type /Font /Subtype /Type3 /Encoding "
                            b"<< /Differences [1 /A /G17] >> >>"), "letters"),
        (papers.own_letters(b"<< /Type /Font /Subtype 5 0 R /Encoding 6 0 R >>", b"/Type0",
                            b"/Identity-H"), "letters"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_into_is_told(data: bytes, why: str) -> None:
    sight = look(CANARY, data)
    assert not sight.holds
    assert why in sight.unread[0]


def test_fonts_that_name_their_letters_are_read() -> None:
    names = b"<< /Differences [1 /A /uni0042 /u00043 /.notdef] >>"
    font = b"<< /Type /Font /Subtype /TrueType /BaseFont /A /Encoding 5 0 R >>"
    paper = papers.own_letters(font, names)
    assert look(Subject(["ABC1"]), paper).unread == ()


@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (b"<p>", b"<5 "), (b"<p>", b"<br "), (b"From ", b"1"), (b"From a 2026\n", b"a"),
        (bytes(128) + b"DICM", b"%PDF-1"), (b"", b"\n "),
    ],
)  # fmt: skip
def test_no_text_takes_ages(begin: bytes, again: bytes) -> None:
    seconds = []
    for size in (2**18, 2**20):
        start = time.process_time()
        look(NOBODY, begin + again * (size // len(again)))
        seconds.append(time.process_time() - start)
    # Four times as much, not sixteen times as long; very little time is not compared.
    assert seconds[1] < 8 * max(seconds[0], 0.1)


def test_pages_that_are_pictures_are_told() -> None:
    sight = look(CANARY, papers.scan())
    assert (sight.holds, sight.unread, sight.bare) == (False, (), 1)
    assert look(NOBODY, papers.letter(WHO)).bare == 0


_ROOT = b"<< /Type /Catalog /Pages 2 0 R >>"
_PAGE = b"<< /Type /Page /Contents 3 0 R /Parent 2 0 R >>"


@pytest.mark.parametrize(
    "data",
    [
        papers.raw(_ROOT, _PAGE, papers.packed(b"BT (x) Tj ET")),
        papers.raw(_ROOT, papers.packed(bytes(3 * 10**8))),
        papers.raw(_ROOT, papers.packed(bytes(10**8), often=3)),
        papers.raw(_ROOT, b"[" * 10**5 + b"]" * 10**5),
        papers.raw(_ROOT, b"<< /Length 2 0 R >>\nstream\nx\nendstream"),
        b"%PDF-1.4\n" + b"1 0 obj\n<<>>\nendobj\n" * 10**4,
        b"%PDF-1.4\n1 0 obj\n" + b"(" * 10**6,
    ],
    ids=["a page above itself", "bomb", "bomb in layers", "deep", "a length of itself",
         "no table", "no end"],
)  # fmt: skip
def test_hostile_pdfs_are_told_and_not_read_without_end(data: bytes) -> None:
    sight = look(CANARY, data)
    assert not sight.holds
    assert sight.unread


def test_a_pdf_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "SECONDS", 0.01)
    assert look(CANARY, papers.letter(WHO)).unread == ("it is not read within 0.01 s",)


def test_what_is_wrapped_too_often_is_told() -> None:
    data = PLAIN
    for _ in range(12):
        data = gzip.compress(data)
    assert look(CANARY, data).unread == ("it unfolds to too much",)
