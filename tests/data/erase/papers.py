"""PDFs with a person in each of the places that one may hide in; everything is compressed."""

import io
import zlib
from collections.abc import Callable

from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    StreamObject,
    TextStringObject,
)

__all__ = ["PLACES", "encrypted", "letter", "packed", "raw", "scan"]


def _paper(content: bytes = b"(a letter) Tj") -> PdfWriter:
    """Begin a document of one page."""
    writer = PdfWriter()
    writer.add_blank_page(300, 300)
    _show(writer, writer.pages[0], content)
    return writer


def _show(writer: PdfWriter, page: DictionaryObject, content: bytes) -> None:
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    fonts = DictionaryObject({NameObject("/F"): font})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = _stream(b"BT /F 12 Tf 20 200 Td " + content + b" ET")
    page[NameObject("/Contents")] = writer._add_object(stream)


def _stream(data: bytes) -> StreamObject:
    stream = StreamObject()
    stream.set_data(data)
    return stream.flate_encode()


def _bytes(writer: PdfWriter) -> bytes:
    """Write it with its objects, strings too, in compressed streams, as most programs do."""
    whole = io.BytesIO()
    writer.use_object_streams = True
    writer.write(whole)
    return whole.getvalue()


def letter(who: str) -> bytes:
    return _bytes(_paper(b"(Dear " + who.encode() + b", all is well) Tj"))


def _kerned(who: str) -> bytes:
    letters = b" -250 ".join(b"(" + bytes([letter]) + b")" for letter in who.encode())
    return _bytes(_paper(b"[(seen ) -300 " + letters + b" -300 (, well)] TJ"))


def _hexadecimal(who: str) -> bytes:
    return _bytes(_paper(b"<" + who.encode().hex().encode() + b"> Tj"))


def _form(who: str) -> bytes:
    writer = _paper()
    page = DictionaryObject()
    _show(writer, page, b"[(" + who[:3].encode() + b") -20 (" + who[3:].encode() + b")] TJ")
    form = page["/Contents"].get_object()
    assert isinstance(form, StreamObject)
    form.update({NameObject("/Type"): NameObject("/XObject"), **page})
    form[NameObject("/Subtype")] = NameObject("/Form")
    form[NameObject("/BBox")] = ArrayObject(map(FloatObject, (0, 0, 300, 300)))
    return _bytes(writer)


def _metadata(who: str) -> bytes:
    writer = _paper()
    writer.add_metadata({"/Author": who})
    return _bytes(writer)


def _xmp(who: str) -> bytes:
    writer = _paper()
    stream = _stream(f"<?xpacket?><x:xmpmeta><dc:creator>{who}</dc:creator></x:xmpmeta>".encode())
    stream[NameObject("/Type")] = NameObject("/Metadata")
    writer.root_object[NameObject("/Metadata")] = writer._add_object(stream)
    return _bytes(writer)


def _note(who: str) -> bytes:
    writer = _paper()
    writer.add_annotation(0, FreeText(text=f"ask {who}", rect=(9, 9, 99, 99)))
    return _bytes(writer)


def _field(who: str) -> bytes:
    writer = _paper()
    field = DictionaryObject(
        {
            NameObject("/FT"): NameObject("/Tx"),
            NameObject("/T"): TextStringObject("patient"),
            NameObject("/V"): TextStringObject(f"\u2003{who}"),
        }
    )
    fields = ArrayObject([writer._add_object(field)])
    form = DictionaryObject({NameObject("/Fields"): fields})
    writer.root_object[NameObject("/AcroForm")] = form
    return _bytes(writer)


def _attachment(who: str) -> bytes:
    writer = _paper()
    writer.add_attachment("findings.pdf", letter(who))
    return _bytes(writer)


def _attached_name(who: str) -> bytes:
    writer = _paper()
    writer.add_attachment(f"{who}.txt", b"well")
    return _bytes(writer)


def _bookmark(who: str) -> bytes:
    writer = _paper()
    writer.add_outline_item(title=f"Findings of {who}", page_number=0)
    return _bytes(writer)


def _name(who: str) -> bytes:
    writer = _paper()
    writer.add_named_destination(who, 0)
    writer.root_object[NameObject(f"/{who}")] = TextStringObject("x")
    return _bytes(writer)


def _older(who: str) -> bytes:
    """Hide a page's text by a change that was appended to the file."""
    writer = PdfWriter(io.BytesIO(letter(who)), incremental=True)
    _show(writer, writer.pages[0], b"(blackened) Tj")
    changed = io.BytesIO()
    writer.write(changed)
    shown = PdfReader(changed).pages[0].extract_text()
    assert who not in shown
    return changed.getvalue()


def _unreferenced(who: str) -> bytes:
    """Leave a page that nothing leads to."""
    writer = _paper()
    page = DictionaryObject({NameObject("/Type"): NameObject("/Page")})
    _show(writer, page, b"(" + who.encode() + b") Tj")
    writer.root_object[NameObject("/Old")] = writer._add_object(page)
    return _bytes(writer)


def _typed_elsewhere(who: str) -> bytes:
    """Let a page and its font say what they are by references."""
    return raw(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type 6 0 R /Parent 2 0 R /Resources << /Font << /F 5 0 R >> >> /Contents 4 0 R >>",
        packed(_split(who)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"/Page",
    )


def _untyped(who: str) -> bytes:
    """Leave out that a page is one."""
    return raw(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Parent 2 0 R /Resources << /Font << /F 5 0 R >> >> /Contents 4 0 R >>",
        packed(_split(who)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )


def _split(who: str) -> bytes:
    half = who.encode()[:3], who.encode()[3:]
    return b"BT /F 12 Tf 20 200 Td [(%b) -20 (%b)] TJ ET" % half


def own_letters(font: bytes, *others: bytes) -> bytes:
    """Return a page in a font of its own."""
    return raw(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Resources << /Font << /F %b >> >> /Contents 4 0 R >>"
        % font,
        packed(b"BT /F 12 Tf 20 200 Td (\001\002\003) Tj ET"),
        *others,
    )


def encrypted(who: str, password: str = "", algorithm: str = "AES-256") -> bytes:
    writer = _paper(b"(" + who.encode() + b") Tj")
    writer.encrypt(password, "the owner's", algorithm=algorithm)
    whole = io.BytesIO()
    writer.write(whole)
    return whole.getvalue()


def _late(who: str) -> bytes:
    return b"X-Scanned: by the mail server\r\n" * 3 + letter(who)


PLACES: dict[str, Callable[[str], bytes]] = {
    "text": letter, "kerned": _kerned, "hexadecimal": _hexadecimal, "form": _form,
    "metadata": _metadata, "XMP": _xmp, "note": _note, "field": _field,
    "attachment": _attachment, "name of an attachment": _attached_name, "bookmark": _bookmark,
    "name": _name, "older revision": _older, "page that is not shown": _unreferenced,
    "encrypted for its owner alone": encrypted, "RC4": lambda who: encrypted(who, "", "RC4-128"),
    "not at the start": _late, "page of a type told elsewhere": _typed_elsewhere,
    "page of no type": _untyped,
}  # fmt: skip


def scan() -> bytes:
    """Return a page that is a picture."""
    writer = _paper()
    image = _stream(bytes(300))
    for key, value in (
        ("/Type", "/XObject"),
        ("/Subtype", "/Image"),
        ("/ColorSpace", "/DeviceRGB"),
    ):
        image[NameObject(key)] = NameObject(value)
    for key in ("/Width", "/Height"):
        image[NameObject(key)] = FloatObject(10)
    image[NameObject("/BitsPerComponent")] = FloatObject(8)
    page = writer.pages[0]
    images = DictionaryObject({NameObject("/I"): writer._add_object(image)})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/XObject"): images})
    page[NameObject("/Contents")] = writer._add_object(_stream(b"q 300 0 0 300 0 0 cm /I Do Q"))
    return _bytes(writer)


def raw(*objects: bytes) -> bytes:
    """Return a file of objects as they are; the first is the root."""
    body, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(places) + 1
    head = b"xref\n0 %d\n0000000000 65535 f \n" % size
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))
    return body + head + table + end


def packed(data: bytes, often: int = 1) -> bytes:
    """Return a compressed stream, in as many layers."""
    for _ in range(often):
        data = zlib.compress(data, 9)
    filters = b"/FlateDecode " * often
    return b"<< /Length %d /Filter [%b] >>\nstream\n%b\nendstream" % (len(data), filters, data)
