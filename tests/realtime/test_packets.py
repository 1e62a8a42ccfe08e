"""Packets: read strictly, written as every client reads them."""

import json

import pytest

from src.realtime.frames import Frame
from src.realtime.packets import (
    ACK,
    BINARY_EVENT,
    CONNECT,
    DISCONNECT,
    EVENT,
    MalformedFrame,
    ack_frame,
    connect_error_frame,
    connect_frame,
    decode,
    disconnect_frame,
    event_frame,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0", (CONNECT, "/", None, None, 0)),
        (b'0{"token":"t"}', (CONNECT, "/", None, {"token": "t"}, 0)),
        (b'0/chat,{"token":"t"}', (CONNECT, "/chat", None, {"token": "t"}, 0)),
        (b"0/chat?token=x,", (CONNECT, "/chat", None, None, 0)),
        (b"0/chat", (CONNECT, "/chat", None, None, 0)),
        (b"1/chat,", (DISCONNECT, "/chat", None, None, 0)),
        (b'2["echo"]', (EVENT, "/", None, ["echo"], 0)),
        (b'2/chat,12["echo",{}]', (EVENT, "/chat", 12, ["echo", {}], 0)),
        (b'2/chat,0["echo",1,2]', (EVENT, "/chat", 0, ["echo", 1, 2], 0)),
        (b"3/chat,7[]", (ACK, "/chat", 7, [], 0)),
        (b'52-/chat,3["echo",{"_placeholder":true}]', (BINARY_EVENT, "/chat", 3, None, 2)),
    ],
)
def test_a_packet_is_read(text: bytes, expected: tuple[object, ...]) -> None:
    assert tuple(decode(text)) == expected
    assert tuple(decode(b"4" + text, 1)) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"", b"x", b"7", b"9[]", b"4/chat,{}", b"-1", b"\xff", b"2", b"2{}", b"2[]", b"2[5]", b"2[null]", b'2"echo"',
        b'21-["echo"]', b'2["echo"', b'2["echo"]]', b"2[NaN]", b"2/chat", b"2/chat,", b"0/chat,{", b'2["\xed\xa0\x80"]',
        b'2["' + b"e" * 65 + b'"]', b'2["echo",' + b"[" * 8 + b"]" * 8 + b"]", b"0" + b"[" * 60000,
    ],
)  # fmt: skip
def test_what_is_no_packet_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decode(text)


@pytest.mark.parametrize(
    ("text", "namespace", "id"),
    [
        (b'2/chat,5["echo"', "/chat", 5),
        (b"2/chat,5", "/chat", 5),
        (b"2/chat,9999999999{}", "/chat", 9999999999),
        (b'2/chat,12345678901["echo"]', "/chat", None),
        (b"25{}", "/", 5),
        (b"3/chat,5[", "/chat", None),
        (b"0/chat,5{", "/chat", None),
    ],
)
def test_a_malformed_event_still_says_where_its_answer_goes(text: bytes, namespace: str, id: int | None) -> None:
    with pytest.raises(MalformedFrame) as fault:
        decode(text)
    assert (fault.value.namespace, fault.value.id) == (namespace, id)


def test_eight_levels_are_read_and_nine_are_not() -> None:
    eight = b'2["echo",' + b"[" * 7 + b"]" * 7 + b"]"
    assert decode(eight).data[0] == "echo"
    wide = b'2["echo",{' + b",".join(b'"%d":[{}]' % n for n in range(1000)) + b"}]"
    assert len(decode(wide).data[1]) == 1000
    with pytest.raises(MalformedFrame):
        decode(b'2["echo",' + b"[" * 8 + b"]" * 8 + b"]")


def test_frames_are_what_clients_expect() -> None:
    assert event_frame("/chat", "ready", b'{"a":1}').encode() == '42/chat,["ready",{"a":1}]'
    assert event_frame("/", "ready", b"null").encode() == '42["ready",null]'
    assert ack_frame("/chat", 12, b'{"ok":true}').encode() == '43/chat,12[{"ok":true}]'
    assert connect_frame("/chat", "abc").encode() == '40/chat,{"sid":"abc"}'
    assert disconnect_frame("/chat").encode() == "41/chat,"
    error = connect_error_frame("/chat", "unauthorized", "Sign in first.").encode()
    assert error.startswith("44/chat,")
    assert json.loads(error[8:]) == {
        "message": "Sign in first.",
        "data": {"code": "unauthorized", "detail": "Sign in first."},
    }


@pytest.mark.parametrize(("size", "header"), [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10), (200000, 10)])
def test_a_frame_carries_its_websocket_header(size: int, header: int) -> None:
    frame = Frame(b"x" * size)
    assert len(frame.wire) == header + size
    assert frame.wire[0] == 0x81
    length = frame.wire[1] if header == 2 else int.from_bytes(frame.wire[2:header], "big")
    assert length == size
    assert frame.encode() == "x" * size
