"""Files that somebody would send who means harm, made when they are needed: none of them lies in the repository."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from PIL import ExifTags, Image, PngImagePlugin

from .pictures import GREEN, RED, picture

SCRIPT = b"<script>alert('hostile')</script>"
PLACE = "37.7519"
"""Where a picture was taken: must not be found in what goes out."""


def zip_of(entries: dict[str, bytes]) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in entries.items():
                archive.writestr(name, data)
        return file.getvalue()


def overlapping_zip() -> bytes:
    """Under 42 KB that would be 4 GiB: 256 entries, all of them the same 16 MiB of nothing."""
    size = 16 * 1024 * 1024
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(size)) + packer.flush()
    crc = zlib.crc32(bytes(size))
    common = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0, crc, len(packed), size)
    local = b"PK\x03\x04" + common + struct.pack("<HH", 1, 0) + b"0" + packed
    directory = b"".join(
        b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHHHII", 3, 0, 0, 0, 0, 0, 0) + b"%03x" % number
        for number in range(256)
    )
    return local + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 256, 256, len(directory), len(local), 0)


def nested_zip() -> bytes:
    data = bytes(1024 * 1024)
    for depth in range(8):
        data = zip_of({f"{depth}-{number}.zip": data for number in range(4)})
    return data


def zip_with_link() -> bytes:
    link = zipfile.ZipInfo("passwd")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(link, "/etc/passwd")
        return file.getvalue()


def tar_with_link() -> bytes:
    link = tarfile.TarInfo("passwd")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            archive.addfile(link)
        return file.getvalue()


def archives() -> Iterator[tuple[str, bytes]]:
    """Kept as they are, and never opened."""
    yield "overlapping.zip", overlapping_zip()
    yield "nested.zip", nested_zip()
    yield "link.zip", zip_with_link()
    yield "climbing.zip", zip_of({"../../../etc/cron.d/evil": b"x", "/etc/evil": b"x", "..\\evil": b"x"})
    yield "link.tar.gz", tar_with_link()
    yield "zeros.gz", zlib.compress(bytes(32 * 1024 * 1024), 9)
    yield "xxe.docx", zip_of({"word/document.xml": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'})
    yield "laughs.xlsx", zip_of({"xl/workbook.xml": b"<!ENTITY a '&b;&b;'>" * 1000})


ACTIVE = {
    "page.html": ("text/html", b"<!doctype html>" + SCRIPT),
    "page.htm": ("text/html; charset=utf-7", b"+ADw-script+AD4-alert(1)+ADw-/script+AD4-"),
    "page.xhtml": ("application/xhtml+xml", b'<html xmlns="http://www.w3.org/1999/xhtml">' + SCRIPT + b"</html>"),
    "drawing.svg": ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
    "data.xml": ("text/xml", b'<?xml version="1.0"?><?xml-stylesheet href="x.xsl" type="text/xsl"?><a/>'),
    "style.xsl": ("text/xsl", b"<xsl:stylesheet/>"),
    "code.js": ("text/javascript", b"alert(1)"),
    "module.mjs": ("application/javascript", b"export default alert(1)"),
    "code.wasm": ("application/wasm", b"\0asm\1\0\0\0"),
    "style.css": ("text/css", b"*{background:url(//evil)}"),
    "film.swf": ("application/x-shockwave-flash", b"FWS\x09"),
    "app.hta": ("application/hta", b"<hta:application>" + SCRIPT),
    "saved.mht": ("message/rfc822", b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n" + SCRIPT),
    "mixed": ("multipart/x-mixed-replace; boundary=x", b"--x\r\nContent-Type: text/html\r\n\r\n" + SCRIPT),
    "old.vbs": ("text/vbscript", b'MsgBox "x"'),
}
"""What could run, by name, with the type that its sender says and its content."""

PDF = (
    b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
)

UNSHOWN = {
    "a.bmp": picture("BMP"), "a.tiff": picture("TIFF"), "a.ico": picture("ICO", (16, 16)), "a.ppm": picture("PPM"),
    "a.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    "a.psd": b"8BPS\0\1" + bytes(64),
    "a.jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64), "a.wmf": b"\xd7\xcd\xc6\x9a" + bytes(64),
}  # fmt: skip
"""Pictures of kinds that are not shown: nothing here reads them."""


def jpeg_segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *before: bytes, data: bytes = b"") -> bytes:
    """A PNG of one bit per pixel, all of them black unless `data` says otherwise."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    pixels = png_chunk(b"IDAT", data or nothing((width + 7) // 8 * height + height))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + pixels + png_chunk(b"IEND", b"")


def nothing(size: int) -> bytes:
    """At least so many zeros, deflated as zlib does, in no time: one block, over and over."""
    block = 1024 * 1024
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    count = -(-size // block)
    adler = struct.pack(">HH", count * block % 65_521, 1)
    return b"\x78\xda" + packed * count + packer.flush() + adler


def inside_png(chunk: bytes) -> bytes:
    """A good PNG with a chunk more, behind its header."""
    good = picture("PNG")
    return good[:33] + chunk + good[33:]


def resized(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header says that it is so large."""
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def animation(kind: str, count: int, size: tuple[int, int] = (4, 4)) -> bytes:
    """So many frames, each unlike the one before."""
    images = [Image.new("RGB", size, (number % 256, number // 256, 255 * (number % 2))) for number in range(count)]
    with io.BytesIO() as file:
        images[0].save(file, kind, save_all=True, append_images=images[1:], duration=20)
        return file.getvalue()


def film(count: int, size: tuple[int, int]) -> bytes:
    """A GIF that shows one frame over and over."""
    good = picture("GIF", size)
    start = 13 + 3 * 2 ** ((good[10] & 7) + 1)
    return good[:start] + good[start:-1] * count + b";"


def too_large() -> Iterator[tuple[str, bytes]]:
    """Pictures with more pixels or frames than a picture may have."""
    yield "900 Mpx PNG", png(30_000, 30_000)
    yield "169 Mpx PNG", png(13_000, 13_000)
    yield "2^31 PNG", png(2**31 - 1, 2**31 - 1, data=zlib.compress(b""))
    yield "65535 JPEG", resized(picture("JPEG"), 65_535, 65_535)
    yield "65535 GIF", b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + picture("GIF")[10:]
    yield "16383 WebP", _large_webp()
    yield "600 frames GIF", film(600, (100, 100))
    yield "201 frames GIF", film(201, (4, 4))
    yield "300 frames WebP", animation("WEBP", 300)
    yield "300 frames APNG", animation("PNG", 300)
    yield "150 frames of 1 Mpx", film(150, (1000, 1000))


def _large_webp() -> bytes:
    canvas = (16_382).to_bytes(3, "little") * 2
    good = picture("WEBP")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + canvas + good[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def unreadable() -> Iterator[tuple[str, bytes]]:
    """What begins like a picture and is none, or not to its end."""
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "AVIF"):
        whole = picture(kind, (300, 200), GREEN)
        yield f"half a {kind}", whole[: len(whole) // 2]
        yield f"the head of a {kind}", whole[:24]
        yield f"noise after the head of a {kind}", whole[:20] + bytes(range(256)) * 8
    yield "a HEIC that is none", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
    yield "no pixels", png(0, 0)
    yield "a wrong sum", _with_wrong_sum()
    yield "JavaScript that begins like a GIF", b"GIF89a/*\x01\x01\0\0*/=1;alert(1)//"
    yield "a PNG that ends in its header", b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", b"\0" * 13)
    yield "a JPEG of markers", b"\xff\xd8" + b"\xff\xe1\xff\xff" * 500
    yield "a GIF of comments", b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0) + b"!\xfe\x04evil\0" * 500 + b";"


def _with_wrong_sum() -> bytes:
    good = bytearray(picture("PNG"))
    good[29] ^= 0xFF
    return bytes(good)


def polyglots() -> Iterator[tuple[str, bytes]]:
    """Good pictures that are something else besides, or carry it: each has the word `hostile` in it, or a ZIP."""
    archive = zip_of({"hostile.class": b"\xca\xfe\xba\xbe hostile"})
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SCRIPT.decode())
    text.add_text("XML:com.adobe.xmp", f"<x>{SCRIPT.decode()}</x>", zip=True)
    yield "GIFAR", picture("GIF") + archive
    yield "PNG and ZIP", picture("PNG") + archive
    yield "JPEG and ZIP", picture("JPEG") + archive
    yield "WebP and ZIP", picture("WEBP") + archive
    yield "JPEG and page", picture("JPEG") + SCRIPT
    yield "JPEG with a comment", picture("JPEG", comment=SCRIPT)
    yield "JPEG with APP13", picture("JPEG")[:2] + jpeg_segment(0xED, SCRIPT) + picture("JPEG")[2:]
    yield "JPEG with XMP", picture("JPEG", xmp=b"<x>" + SCRIPT + b"</x>")
    yield "GIF with a comment", picture("GIF", comment=SCRIPT)
    yield "PNG with text", picture("PNG", pnginfo=text)
    yield "PNG with a chunk of its own", inside_png(png_chunk(b"evIl", SCRIPT))
    yield "WebP with XMP", picture("WEBP", xmp=b"<x>" + SCRIPT + b"</x>")
    yield "PNG with a false profile", inside_png(png_chunk(b"iCCP", b"hostile\0\0" + zlib.compress(SCRIPT)))


def photographs() -> Iterator[tuple[str, bytes]]:
    """Pictures that say where, when and by what they were taken."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.ImageDescription] = "hostile-camera", "hostile"
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (37.0, 45.0, 6.84), 3: "E", 4: (128.0, 52.0, 33.6), 29: PLACE}
    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        yield kind, picture(kind, exif=exif)


def swollen() -> Iterator[tuple[str, bytes]]:
    """Good pictures with something that swells beside the pixels."""
    yield "iCCP bomb", inside_png(png_chunk(b"iCCP", b"x\0\0" + nothing(200 * 1024 * 1024)))
    yield "zTXt bomb", inside_png(png_chunk(b"zTXt", b"x\0\0" + nothing(200 * 1024 * 1024)))
    yield "iTXt bomb", inside_png(png_chunk(b"iTXt", b"x\0\1\0\0\0" + nothing(200 * 1024 * 1024)))
    yield "many zTXt", inside_png(png_chunk(b"zTXt", b"x\0\0" + nothing(1_000_000)) * 200)
    yield "more pixels than the header says", _overfull()


def _overfull() -> bytes:
    return png(8, 8, data=nothing(200 * 1024 * 1024))


LIES = {
    "JPEG as PDF": ("letter.pdf", "application/pdf", picture("JPEG", colour=RED), "letter.pdf.jpg", "image/jpeg"),
    "PNG as page": ("page.html", "text/html", picture("PNG"), "page.html.png", "image/png"),
    "GIF as JPEG": ("cat.jpg", "image/jpeg", picture("GIF"), "cat.gif", "image/gif"),
    "WebP as text": ("a.txt", "text/plain", picture("WEBP"), "a.txt.webp", "image/webp"),
    "PNG without a name": ("", "", picture("PNG"), "file.png", "image/png"),
}
"""Pictures that call themselves something else: name, type, content; what they are called and are then."""
