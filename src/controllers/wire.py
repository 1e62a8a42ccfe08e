"""What a route says beside JSON, where a protocol speaks in headers and in bytes as they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """A header that a request brings: what it is for, and the JSON schema of its value."""

    words: str
    schema: Mapping[str, Any]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Wire:
    """`asks`: headers that the method reads from its `web.Request`. `gives`: those of a success, with what they say.

    `always`: what every answer says, refusals too. `body`: the media type of the bytes that the method reads by
    `bodies.pieces`; `optional_body`: they may be absent.
    """

    asks: Mapping[str, Asked] = field(default_factory=dict)
    gives: Mapping[str, str] = field(default_factory=dict)
    always: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    optional_body: bool = False
