"""An object, as somebody is to get it who may."""

from dataclasses import dataclass
from typing import Literal

Cache = Literal["private", "immutable"]


@dataclass(frozen=True, slots=True)
class Download:
    """`size` in bytes; `name` and `content_type` as the answer shall say them; `etag` strong, without its quotes.

    `inline`: may a browser show it, rather than save it? `cache`: "private" is asked about at every use, by the browser
    alone; "immutable" is anybody's, for ever.
    """

    key: str
    size: int
    content_type: str
    name: str
    inline: bool
    etag: str
    cache: Cache
