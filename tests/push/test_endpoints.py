"""Where a push may go, and for what keys it can be encrypted."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from src.origins import origin_of
from src.push.base64url import encoded
from src.push.endpoints import MAX_ENDPOINT, audience_of, check_auth, check_endpoint, check_p256dh

POINT = (
    ec.derive_private_key(8291, ec.SECP256R1())  # always the same: it is in the names of tests
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)  # fmt: skip
P256DH, AUTH = encoded(POINT), encoded(bytes(range(16)))


class TestAnEndpoint:
    @pytest.mark.parametrize(
        "endpoint",
        ["https://fcm.googleapis.com/fcm/send/dXk0:APA91bH_x-Y",
         "https://updates.push.services.mozilla.com/wpush/v2/gAAAAAB=",
         "https://web.push.apple.com/QGu7gXV1e7xA", "https://wns2-by3p.notify.windows.com/w/?token=BQYA%2babc%3d",
         "https://push.example:443/x", "https://PUSH.example./x", "https://1.2.3.4.example/x",
         "https://localhost.example/"],
    )  # fmt: skip
    def test_is_at_a_push_service_on_the_internet(self, endpoint: str) -> None:
        check_endpoint(endpoint, ())

    @pytest.mark.parametrize(
        "endpoint",
        ["", "push", "//push.example/x", "http://push.example/x", "ftp://push.example/x", "HTTPS://push.example/x",
         "file:///etc/passwd", "data:text/plain,x", "javascript:alert(1)", "https://", "https:///x", "https://./x",
         "https://push.example:8443/x", "https://push.example:80/x", "https://push.example:0/x",
         "https://push.example:99999/x", "https://push.example:x/x", "https://user@push.example/x",
         "https://user:secret@push.example/x", "https://push.example\\@127.0.0.1/x", "https://push.example#@127.0.0.1/",
         "https://push.example/x#y", "https://push.example/x y", " https://push.example/x", "https://push.example/x\n",
         "https://push.example/\r\nHost: x", "https://push.example/é", "https://é.example/x", "https://push..example/x",
         "https://.push.example/x", "https://push.example../x", "https://[push.example]/x", "https://a[::1].example/x"],
    )  # fmt: skip
    def test_can_be_read_in_one_way_alone(self, endpoint: str) -> None:
        with pytest.raises(ValueError, match=r"^The endpoint .*\.$"):
            check_endpoint(endpoint, ())

    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x7F.0.0.1", "0x7f.1",
         "0177.0.0.1", "017700000001", "127.0.0.0x1", "127.0.0.1.", "8.8.8.8", "169.254.169.254", "2852039166",
         "0xa9fea9fe", "10.0.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::a9fe:a9fe]",
         "[fe80::1]", "[fe80::1%25eth0]", "[2a00:1450:4001:82a::200e]", "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1",
         "localhost", "LOCALHOST", "localhost.", "push.localhost", "push.LocalHost.", "intranet", "metadata",
         "%31%32%37.0.0.1", "example.0", "example.0x7"],
    )  # fmt: skip
    def test_is_no_address_and_not_this_machine(self, host: str) -> None:
        for port in ("", ":443"):
            with pytest.raises(ValueError, match=r"^The endpoint .*\.$"):
                check_endpoint(f"https://{host}{port}/push", ())

    def test_is_not_endless(self) -> None:
        address = "https://push.example/"
        check_endpoint(address + "x" * (MAX_ENDPOINT - len(address)), ())
        with pytest.raises(ValueError, match="longer than 2048 characters"):
            check_endpoint(address + "x" * (MAX_ENDPOINT - len(address) + 1), ())

    @pytest.mark.parametrize("own", ["http://127.0.0.1:9000", "https://push.intranet:8443", "http://[::1]:9000"])
    def test_of_the_operator_is_wherever_it_is(self, own: str) -> None:
        check_endpoint(f"{own}/push/x", {origin_of(own)})

    @pytest.mark.parametrize(
        "endpoint",
        ["http://127.0.0.1:9001/x", "https://127.0.0.1:9000/x", "http://127.0.0.2:9000/x", "http://127.0.0.1/x",
         "http://me@127.0.0.1:9000/x", "http://127.0.0.1:9000/x#y", "http://127.1:9000/x",
         "http://127.0.0.1:9000@push.example/x"],
    )  # fmt: skip
    def test_beside_the_operators_is_not(self, endpoint: str) -> None:
        with pytest.raises(ValueError, match="endpoint"):
            check_endpoint(endpoint, {"http://127.0.0.1:9000"})


class TestKeys:
    @pytest.mark.parametrize("padding", ["", "="])
    def test_may_be_padded(self, padding: str) -> None:
        check_p256dh(P256DH + padding)
        check_auth(AUTH + padding * 2)

    @pytest.mark.parametrize(
        "p256dh",
        ["", "x", P256DH[:-2], P256DH + "AA", encoded(bytes(65)), encoded(b"\4" + bytes(64)),
         encoded(b"\4" + b"\xff" * 64), encoded(b"\2" + POINT[1:33]), encoded(b"\3" + POINT[1:]), encoded(b"\0"),
         encoded(POINT[:-1] + bytes([POINT[-1] ^ 1])), P256DH[:40] + "+" + P256DH[41:], P256DH[:40] + " " + P256DH[40:],
         P256DH + "\n", P256DH + "===", "é" * 87],
    )  # fmt: skip
    def test_have_a_point_of_the_curve(self, p256dh: str) -> None:
        with pytest.raises(ValueError, match=r"^The key p256dh must be .*\.$"):
            check_p256dh(p256dh)

    @pytest.mark.parametrize(
        "auth", ["", "x", AUTH[:-2], AUTH + "AA", AUTH[:5] + "!" + AUTH[6:], AUTH + "\n", "é" * 22]
    )
    def test_have_sixteen_bytes_to_authenticate(self, auth: str) -> None:
        with pytest.raises(ValueError, match=r"^The key auth must be 16 bytes .*\.$"):
            check_auth(auth)


@pytest.mark.parametrize(
    ("endpoint", "audience"),
    [
        ("https://push.example/x", "https://push.example"),
        ("https://PUSH.example:443/x", "https://push.example"),
        ("https://push.example:8443/x", "https://push.example:8443"),
        ("http://127.0.0.1:80/x", "http://127.0.0.1"),
        ("http://127.0.0.1:443/x", "http://127.0.0.1:443"),
    ],
)
def test_a_push_service_is_named_by_its_origin(endpoint: str, audience: str) -> None:
    assert audience_of(endpoint) == audience
