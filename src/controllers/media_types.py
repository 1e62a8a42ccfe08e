"""What a type that somebody gave may do in a browser."""

import re

UNKNOWN = "application/octet-stream"
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,100}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}")
# What a browser runs, lays over a page, or takes apart into such.
_ACTIVE = re.compile(
    r"text/(html|xml|xsl|css|vbscript|cache-manifest|x-component)|image/svg|(multipart|message)/.*|.*\+xml"
    r"|application/(xml|xml-dtd|xhtml|wasm|hta|x-shockwave-flash|vnd\.mozilla\.xul|x-java.*|manifest\+json)"
    r"|.*(java|ecma|j|live)script.*"
)


def harmless(content_type: str) -> str:
    """The type without its parameters, in lower case; UNKNOWN for what is none, or does something in a browser."""
    bare = content_type.partition(";")[0].strip().lower()
    return bare if _TYPE.fullmatch(bare) and not _ACTIVE.fullmatch(bare) else UNKNOWN
