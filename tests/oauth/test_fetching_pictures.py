"""Fetching a picture from an address that somebody else has named: from nowhere but the internet, and not too much."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from src import public_addresses
from src.oauth import pictures
from src.oauth.failures import Failed, Refused, Unanswered
from src.origins import origin_of

from ..internet import Listener, Lookups, self_signed
from ..pictures import picture
from ..providers import hostile
from ..providers.hostile import HostileProvider

MOST = 100_000
METADATA = "http://169.254.169.254/latest/meta-data/"


@pytest.fixture
async def evil() -> AsyncIterator[HostileProvider]:
    async with HostileProvider() as provider:
        yield provider


async def fetched(address: str, *origins: str, most: int = MOST) -> bytes:
    got = bytearray()

    async def write(piece: bytes) -> None:
        got.extend(piece)

    await pictures.fetch(address, {origin_of(each) for each in origins}, most, write)
    return bytes(got)


async def refused(address: str, *origins: str) -> str:
    """Why it will never be fetched."""
    with pytest.raises(Refused) as refusal:
        await fetched(address, *origins)
    return refusal.value.reason


class TestWhatTheOperatorSetUp:
    async def test_is_asked_wherever_it_is(self, evil: HostileProvider) -> None:
        assert await fetched(f"{evil.url}/picture?size=640#x", evil.url) == picture("PNG")
        (asked,) = evil.requests["picture"]
        assert asked.form == {"size": "640"}
        assert not asked.headers.keys() & {"Cookie", "Authorization", "Referer"}

    async def test_is_not_asked_on_another_port_or_for_another(self, evil: HostileProvider) -> None:
        async with HostileProvider() as good:
            assert await refused(f"{evil.url}/picture", good.url) == "address_not_allowed"
            assert await refused(f"{evil.url}/picture") == "address_not_allowed"
        assert not evil.requests["picture"]

    @pytest.mark.parametrize(
        "where",
        [METADATA, "http://127.0.0.1:1/", "//169.254.169.254/", "file:///etc/passwd", "https://[::1]/",
         "https://2130706433/", "gopher://x/", "https://[", "é"],
    )  # fmt: skip
    async def test_sends_nobody_elsewhere(self, evil: HostileProvider, where: str) -> None:
        evil.faults["picture"] = hostile.redirect_to(where)
        assert await refused(f"{evil.url}/picture", evil.url) in ("address_not_allowed", "no_address")

    async def test_may_send_on_twice(self, evil: HostileProvider) -> None:
        async with HostileProvider() as good:
            evil.faults["revoke"] = hostile.redirect_to("/jwks")
            evil.faults["jwks"] = hostile.redirect_to(f"{good.url}/picture")
            assert await fetched(f"{evil.url}/revoke", evil.url, good.url) == picture("PNG")
            evil.faults["token"] = hostile.redirect_to("revoke")
            assert await refused(f"{evil.url}/token", evil.url, good.url) == "too_many_redirects"

    async def test_may_go_round_in_circles(self, evil: HostileProvider) -> None:
        evil.faults["picture"] = hostile.redirect_to("/picture")
        assert await refused(f"{evil.url}/picture", evil.url) == "too_many_redirects"
        assert len(evil.requests["picture"]) == 3

    async def test_may_answer_too_much(self, evil: HostileProvider) -> None:
        evil.faults["picture"] = hostile.ten_megabytes
        assert await refused(f"{evil.url}/picture", evil.url) == "too_big"
        evil.faults["picture"] = hostile.raw(b"x" * (MOST + 1))
        assert await refused(f"{evil.url}/picture", evil.url) == "too_big"
        evil.faults["picture"] = hostile.raw(b"x" * MOST)
        assert len(await fetched(f"{evil.url}/picture", evil.url)) == MOST

    @pytest.mark.parametrize("fault", [hostile.never, hostile.hanging_body])
    async def test_may_be_silent(
        self, evil: HostileProvider, fault: hostile.Fault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pictures, "SECONDS", 0.3)
        evil.faults["picture"] = fault
        with pytest.raises(Unanswered) as failure:
            await fetched(f"{evil.url}/picture", evil.url)
        assert failure.value.reason == "timeout"

    async def test_may_pack_what_it_answers(self, evil: HostileProvider) -> None:
        evil.faults["picture"] = hostile.gzip_bomb
        assert await refused(f"{evil.url}/picture", evil.url) == "compressed"

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(404, Refused), (403, Refused), (204, Refused), (300, Refused), (302, Refused), (304, Refused),
         (429, Unanswered), (408, Unanswered), (500, Unanswered), (503, Unanswered)],
    )  # fmt: skip
    async def test_may_have_none(self, evil: HostileProvider, status: int, kind: type[Failed]) -> None:
        evil.faults["picture"] = hostile.raw(b"", status)
        with pytest.raises(kind):
            await fetched(f"{evil.url}/picture", evil.url)

    async def test_may_be_away(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unanswered):
            await fetched(f"{address}/picture", address)


class TestTheInternet:
    @pytest.mark.parametrize(
        "address",
        [METADATA, "https://169.254.169.254/", "https://127.0.0.1/", "https://127.1/", "https://2130706433/",
         "https://0x7f000001/", "https://0177.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
         "https://[64:ff9b::a9fe:a9fe]/", "https://0.0.0.0/", "https://0/", "https://[::]/", "https://8.8.8.8/",
         "https://example.com:8443/", "http://example.com:8080/", "https://example.com:80/", "http://example.com:443/",
         "https://example.com:0/", "https://example.com:99999/", "https://user@example.com/", "https://example.com\\@x/",
         "https://example.com /", "https://exämple.com/", "https:///x", "https://.", "https://", "ftp://example.com/",
         "file:///etc/passwd", "data:image/png;base64,AA", "javascript:alert(1)", "", "//example.com/",
         "https://example.com/\r\nHost: x"],
    )  # fmt: skip
    async def test_is_asked_by_name_over_https_alone(self, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
        lookups = Lookups(monkeypatch, ["127.0.0.1"])
        assert await refused(address) in ("address_not_allowed", "no_address")
        assert lookups == []

    @pytest.mark.parametrize(
        "found",
        [["127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["8.8.8.8", "192.168.0.1"], ["::1"], ["::ffff:127.0.0.1"],
         ["64:ff9b::a9fe:a9fe"], ["0.0.0.0"], ["fd00:ec2::254"], ["2a00:1450:4001:82a::200e", "fe80::1"]],
        ids=str,
    )  # fmt: skip
    async def test_is_not_what_a_name_makes_of_it(self, monkeypatch: pytest.MonkeyPatch, found: list[str]) -> None:
        async with Listener() as listener:
            lookups = Lookups(monkeypatch, found, listener.port)
            assert await refused("https://pictures.example/me") == "address_not_allowed"
            assert (lookups, listener.connections) == (["pictures.example"], 0)

    async def test_is_not_this_machine(self) -> None:
        assert await refused("https://localhost/") == "address_not_allowed"

    @pytest.mark.parametrize("address", ["https://pictures.example/me", "http://pictures.example/me"])
    async def test_is_looked_up_once_and_must_prove_its_name(
        self, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        """The one test in which loopback counts as the internet: nobody there has a certificate of that name."""
        monkeypatch.setattr(public_addresses, "is_public", lambda _: True)
        async with Listener() as listener:
            lookups = Lookups(monkeypatch, ["127.0.0.1"], listener.port)
            with pytest.raises(Unanswered):
                await fetched(address)
            assert (lookups, listener.connections) == (["pictures.example"], 1)
            assert listener.heard[:1] == b"\x16", "a TLS handshake, whatever the address said"

    async def test_is_told_nothing_by_who_cannot_prove_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(public_addresses, "is_public", lambda _: True)
        async with Listener(self_signed("pictures.example", tmp_path)) as listener:
            Lookups(monkeypatch, ["127.0.0.1"], listener.port)
            with pytest.raises(Unanswered):
                await fetched("https://pictures.example/me")
            assert listener.heard == b""

    async def test_that_nobody_knows_may_be_known_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def resolve(*_: Any, **__: Any) -> Any:
            raise OSError("Name or service not known")

        monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
        with pytest.raises(Unanswered):
            await fetched("https://pictures.example/me")

    async def test_is_asked_through_no_proxy_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with Listener() as proxy, HostileProvider() as evil:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            assert await fetched(f"{evil.url}/picture", evil.url) == picture("PNG")
            assert proxy.connections == 0
