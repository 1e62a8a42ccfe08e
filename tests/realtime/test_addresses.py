"""Whose request it is, behind proxies that are trusted and in front of those who lie."""

from ipaddress import ip_network
from types import SimpleNamespace

import pytest
from multidict import CIMultiDict

from src.realtime.addresses import client_address
from src.viewer import network_of

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def request(peer: str | None, *forwarded: str) -> SimpleNamespace:
    return SimpleNamespace(remote=peer, headers=CIMultiDict([("X-Forwarded-For", value) for value in forwarded]))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["8.8.8.8"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["8.8.8.8, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["8.8.8.8", "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.7, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", [" , 203.0.113.7 ,, "], "203.0.113.7"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("fd00::1", ["2001:DB8:0::5"], "2001:db8::5"),
        ("fe80::1%eth0", ["8.8.8.8"], "fe80::1"),
        (None, ["8.8.8.8"], "unknown"),
        ("", [], "unknown"),
    ],
)
def test_the_client_is_the_first_address_from_the_right_that_no_trusted_proxy_has(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    assert client_address(request(peer, *forwarded), TRUSTED) == expected


def test_an_ipv6_subscriber_is_a_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("203.0.113.7") == "203.0.113.7"
    assert network_of("unknown") == "unknown"
