"""Scheme, host and port: what decides whether an address may be asked."""

import pytest

from src.origins import origin_of


@pytest.mark.parametrize(
    "address",
    ["ftp://a.example", "https://", "//a.example", "https://a@b.example", "https://a.example\\@b.example",
     "https://a.example/ x", "https://a.example/\n", "https://a.example:99999", "https://에이.example", "javascript:1"],
)  # fmt: skip
def test_an_address_that_could_be_read_in_two_ways_is_none(address: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        origin_of(address)


def test_a_port_is_always_written() -> None:
    assert origin_of("https://A.example/x?y") == "https://a.example:443"
    assert origin_of("http://a.example:8080") == "http://a.example:8080"
