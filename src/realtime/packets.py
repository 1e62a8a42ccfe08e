"""Socket.IO packets (protocol 5) as bytes: read strictly, written from JSON that is already encoded."""

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from .frames import Frame

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)
BINARY: Final = (BINARY_EVENT, BINARY_ACK)
MAX_DEPTH: Final = 8
MAX_EVENT_NAME: Final = 64

# type [attachments-] [namespace[?query],] [id] rest; an id that goes on after ten digits is none.
_HEAD: Final = re.compile(
    rb"([0-6])(?:(\d{1,2})-)?(?:(/[\w./-]{0,63})(?:\?[^,]{0,255})?(?:,|\Z))?(?:(\d{1,10})(?!\d))?"
)


class Packet(NamedTuple):
    """What a client sent: `data` is decoded JSON (None without any), `attachments` how many binary frames follow."""

    kind: int
    namespace: str
    id: int | None
    data: Any
    attachments: int = 0


class MalformedFrame(Exception):
    """Not a packet that we read. `namespace` and `id` are of the event that waits for an answer, where legible."""

    def __init__(self, namespace: str | None = None, id: int | None = None) -> None:
        super().__init__("not a Socket.IO packet")
        self.namespace = namespace
        self.id = id


def decode(data: bytes, start: int = 0) -> Packet:
    """Read the packet in `data` from `start` on.

    An event's `data` is a list that begins with a name. Of a binary packet only the head is read.
    Raises MalformedFrame.
    """
    head = _HEAD.match(data, start)
    if head is None:
        raise MalformedFrame
    kind = data[start] - 48
    attachments, name, number = head.group(2, 3, 4)
    namespace = name.decode() if name else "/"
    id = int(number) if number else None
    if kind in BINARY:
        return Packet(kind, namespace, id, None, int(attachments or 0))
    content = _content(data[head.end() :], namespace, id if kind == EVENT else None)
    if attachments or kind == CONNECT_ERROR or (kind == EVENT and not _is_event(content)):
        raise MalformedFrame(namespace, id if kind == EVENT else None)
    return Packet(kind, namespace, id, content)


def _content(text: bytes, namespace: str, id: int | None) -> Any:
    """The JSON after the head. orjson refuses NaN, Infinity, lone surrogates and bad UTF-8, and bounds its stack."""
    if not text:
        return None
    try:
        value = orjson.loads(text)
    except ValueError:
        raise MalformedFrame(namespace, id) from None
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _deeper_than(MAX_DEPTH, value):
        raise MalformedFrame(namespace, id)
    return value


def _is_event(content: Any) -> bool:
    return (
        isinstance(content, list)
        and bool(content)
        and isinstance(content[0], str)
        and len(content[0]) <= MAX_EVENT_NAME
    )


def _deeper_than(depth: int, value: Any) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return depth == 0 or any(_deeper_than(depth - 1, item) for item in value)


@lru_cache(maxsize=256)
def _head(kind: int, namespace: str) -> bytes:
    return b"4%d" % kind + (b"" if namespace == "/" else namespace.encode() + b",")


def event_frame(namespace: str, name: str, payload_json: bytes) -> Frame:
    """`emit(name, payload)`, ready for any number of sockets. `name` is one of ours: it needs no escaping."""
    return Frame(b'%b["%b",%b]' % (_head(EVENT, namespace), name.encode(), payload_json))


def ack_frame(namespace: str, id: int, payload_json: bytes) -> Frame:
    """The acknowledgement of the client's event `id`."""
    return Frame(b"%b%d[%b]" % (_head(ACK, namespace), id, payload_json))


def connect_frame(namespace: str, sid: str) -> Frame:
    """The namespace is open."""
    return Frame(_head(CONNECT, namespace) + orjson.dumps({"sid": sid}))


def connect_error_frame(namespace: str, code: str, detail: str) -> Frame:
    """The namespace is refused; the JavaScript client raises `connect_error` with `err.data = {code, detail}`."""
    error = {"message": detail, "data": {"code": code, "detail": detail}}
    return Frame(_head(CONNECT_ERROR, namespace) + orjson.dumps(error))


def disconnect_frame(namespace: str) -> Frame:
    """The namespace is closed by the server; the JavaScript client does not come back by itself."""
    return Frame(_head(DISCONNECT, namespace))
