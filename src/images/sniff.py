"""What a file is, by its first bytes alone: names and declared types are the sender's words."""

from typing import Final

HEAD_BYTES: Final = 64

_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_WEBP_CHUNKS: Final = (b"VP8 ", b"VP8L", b"VP8X")
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIF_BRANDS: Final = frozenset({b"mif1", b"msf1"})


def picture_type(head: bytes) -> str | None:
    """The media type of a picture that is shown, from the first `HEAD_BYTES` of a file.

    None for everything else, which is a document: also for SVG, which is a program, and for pictures that are not shown
    (TIFF, BMP, EPS, ...). It says what the file claims to be, not that it can be read.
    """
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp" if head[12:16] in _WEBP_CHUNKS else None
    return _by_brand(head) if head[4:8] == b"ftyp" else None


def _by_brand(head: bytes) -> str | None:
    """ISO/IEC 14496-12: the size of the box, `ftyp`, its main brand, a version, and the brands it agrees with."""
    main, end = head[8:12], min(int.from_bytes(head[:4], "big"), len(head))
    brands = {main, *(head[start : start + 4] for start in range(16, end - 3, 4))}
    if main not in _AVIF_BRANDS | _HEIC_BRANDS | _HEIF_BRANDS:
        return None  # a film, or a sound: those name such brands too
    if brands & _AVIF_BRANDS and main not in _HEIC_BRANDS:
        return "image/avif"
    return "image/heic" if brands & _HEIC_BRANDS else "image/heif"
