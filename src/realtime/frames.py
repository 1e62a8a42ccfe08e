"""What goes out: an Engine.IO packet with its WebSocket header, made once for all who get it."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

SEPARATOR: Final = "\x1e"
_FIN_TEXT: Final = 0x81
_SHORT: Final = Struct("!BB").pack
_MEDIUM: Final = Struct("!BBH").pack
_LONG: Final = Struct("!BBQ").pack


class Frame:
    """One Engine.IO packet. `wire` is what a WebSocket carries: unmasked, so the same for every client."""

    __slots__ = ("_header", "wire")

    def __init__(self, packet: bytes) -> None:
        size = len(packet)
        if size < 126:
            header = _SHORT(_FIN_TEXT, size)
        elif size < 65536:
            header = _MEDIUM(_FIN_TEXT, 126, size)
        else:
            header = _LONG(_FIN_TEXT, 127, size)
        self._header = len(header)
        self.wire = header + packet

    def encode(self, b64: bool = False) -> str:
        """The packet as a long-polling response carries it (called by engineio's Payload)."""
        return self.wire[self._header :].decode()


class Joined(Frame):
    """Several frames that go to the same clients one after the other: written as one, polled as so many packets."""

    __slots__ = ("_frames",)

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = tuple(frames)
        self.wire = b"".join([frame.wire for frame in frames])

    def encode(self, b64: bool = False) -> str:
        return SEPARATOR.join(frame.encode() for frame in self._frames)


PING: Final = Frame(b"2")
CLOSE: Final = Frame(b"1")
NOOP: Final = Frame(b"6")
PROBE: Final = b"2probe"
PROBED: Final = "3probe"
UPGRADE: Final = b"5"
GOING_AWAY: Final = b"\x88\x02\x03\xe9"
