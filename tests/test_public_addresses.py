"""Which addresses are anybody's."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from src import public_addresses
from src.public_addresses import PublicOnly, is_name, is_public

PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2001:4860:4860::8888", "2a00:1450:4001:82a::200e"]
NOBODYS = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "168.63.129.16",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:7f00:1::1", "2001:db8::1", "2001:10::1",
    "2002:7f00:1::1", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
    "fec0::1", "ff02::1", "2001:db8::1%1",
    "localhost", "", "8.8.8", "134744072", "0x8.8.8.8", "08.8.8.8", "8.8.8.8 ",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_what_was_given_out_is_anybodys(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOBODYS)
def test_all_else_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("host", ["example.com", "k.kakaocdn.net", "localhost", "1.2.3.4.example", "0x7f.com", "a1"])
def test_a_name_is_looked_up(host: str) -> None:
    assert is_name(host)


@pytest.mark.parametrize(
    "host",
    ["", ".", "127.0.0.1", "127.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7f.0.0.1", "127.0.0.0x1", "0177.0.0.1",
     "017700000001", "0X7F.1", "0x", "example.0", "::1", "::ffff:127.0.0.1", "fe80::1%1"],
)  # fmt: skip
def test_a_number_is_none(host: str) -> None:
    assert not is_name(host)


class SilentServers:
    """Name servers that answer to nothing until they are let go, but for `example.com`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.let_go = threading.Event()
        self._really = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, port: int, **how: Any) -> Any:
        if host == "example.com":
            return self._really("8.8.8.8", port, **how)
        self.let_go.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")


async def test_names_of_silent_servers_hold_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    silent, resolver = SilentServers(monkeypatch), PublicOnly()
    waiting = [asyncio.create_task(resolver.resolve(f"a{i}.example", 443)) for i in range(40)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(2):
        assert [each["host"] for each in await resolver.resolve("example.com", 443)] == ["8.8.8.8"]
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        await asyncio.to_thread(lambda: None)
    silent.let_go.set()
    assert all(isinstance(each, OSError) for each in await asyncio.gather(*waiting, return_exceptions=True))


async def test_no_more_names_wait_than_there_are_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_addresses, "LOOKUPS", 3)
    silent, resolver = SilentServers(monkeypatch), PublicOnly()
    waiting = [asyncio.create_task(resolver.resolve(f"a{i}.example", 443)) for i in range(3)]
    await asyncio.sleep(0.05)
    for each in waiting:
        each.cancel()  # whoever waited has gone; the lookup has not
    await asyncio.gather(*waiting, return_exceptions=True)
    with pytest.raises(OSError, match="too many"):
        await resolver.resolve("example.com", 443)
    silent.let_go.set()
    await asyncio.sleep(0.1)
    assert await resolver.resolve("example.com", 443)
