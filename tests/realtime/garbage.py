"""Faulty frames and requests without end, the same ones for the same seed."""

import random
from collections.abc import Iterator

GOOD = [
    b'40/chat,{"token":"anna"}',
    b"41/chat,",
    b'42/chat,1["echo",{"text":"hello"}]',
    b'42/chat,2["wait",{"seconds":0}]',
    b'42/chat,3["fail",{}]',
    b'42/notifications,4["echo",{"text":"\xed\x99\x8d"}]',
    b"43/chat,1[]",
    b'44/chat,{"message":"x"}',
    b'451-/chat,5["echo",{"_placeholder":true,"num":0}]',
    b'461-/chat,6[{"_placeholder":true,"num":0}]',
    b"2probe",
    b"3",
    b"5",
    b"6",
    b"0{}",
]
SPICE = [
    b"[" * 2000,
    b"{" * 500,
    b'{"a":' * 300,
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"\x00",
    b"\xff\xfe",
    b"\x1e",
    b'"\\ud800"',
    b"9" * 400,
    b"-",
    b",",
    b'"',
    b"\\",
    b"]" * 50,
    b"null",
    b"/chat,",
    b"/" + b"n" * 300,
    b"b",
    b"bAAAA",
    b"4",
    b"42",
    b"459999999999-",
    b'["connect",{"REMOTE_ADDR":"10.0.0.1"}]',
    b'["disconnect"]',
    b'["__class__"]',
    b'{"__proto__":{}}',
    "ㅎㄱㄷ".encode(),
    b"\xf0\x9f\x91\x8b",
    b"x" * 5000,
    b'{"token":' + b'"t' * 3000,
]


def frames(seed: int) -> Iterator[bytes]:
    """Frames of a client that has gone mad: good ones, cut, joined, stretched and spiced."""
    dice = random.Random(seed)
    while True:
        frame = bytearray(dice.choice(GOOD))
        for _ in range(dice.randrange(1, 5)):
            at = dice.randrange(len(frame) + 1)
            match dice.randrange(6):
                case 0:
                    del frame[at:]
                case 1:
                    del frame[:at]
                case 2:
                    frame[at:at] = dice.choice(SPICE)
                case 3:
                    frame[at:at] = dice.choice(GOOD)
                case 4 if at < len(frame):
                    frame[at] = dice.randrange(256)
                case _:
                    frame[at:at] = dice.randbytes(dice.randrange(20))
        yield bytes(frame[:70000])


def requests(seed: int, sid: str) -> Iterator[bytes]:
    """HTTP requests for `/socket.io/` as nobody should send them; `sid` is of a living connection."""
    dice = random.Random(seed)
    queries = [
        "",
        "EIO=4",
        "EIO=3&transport=polling",
        "EIO=4&transport=polling",
        "EIO=4&transport=websocket",
        "EIO=4&transport=x",
        "EIO=4&transport=polling&j=1",
        "EIO=4&transport=polling&sid=nobody",
        f"EIO=4&transport=websocket&sid={sid}",
        f"EIO=4&transport=polling&sid={sid}",
        f"EIO=4&sid={sid}&sid={sid}&transport=polling&transport=websocket",
        "EIO=4&transport=polling&sid=" + "%00" * 50,
        "EIO=%ff&transport=%ff",
        "&=&=&" * 100,
        "EIO=4&transport=polling&sid=",
    ]
    headers = [
        b"",
        b"Upgrade: websocket\r\n",
        b"Upgrade: websocket\r\nConnection: upgrade\r\n",
        b"Origin: null\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 99\r\n",
        b"Content-Encoding: gzip\r\n",
        b"X-Forwarded-For: ,,,;;\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 99999999\r\n",
        b"Cookie: " + b"c" * 4000 + b"\r\n",
    ]
    made = frames(seed)
    while True:
        method = dice.choice(
            [b"GET", b"POST", b"POST", b"POST", b"OPTIONS", b"HEAD", b"PUT", b"DELETE", b"\xff", b"GET" * 9]
        )
        head = b"%b /socket.io/?%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % (
            method,
            dice.choice(queries).encode(),
        )
        body = b"\x1e".join(next(made) for _ in range(dice.randrange(20)))[:70000]
        framing = b"Content-Length: %d\r\n" % len(body) if method == b"POST" and dice.random() < 0.7 else b""
        yield head + (framing or dice.choice(headers)) + b"\r\n" + (body if framing else b"")
