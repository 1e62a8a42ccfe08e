"""The documents read anew, held against their own example."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from src.push.base64url import decoded

from .rfc8291 import CURVE, decrypt

# RFC 8291, appendix A.
PRIVATE = ec.derive_private_key(int.from_bytes(decoded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")), CURVE)
AUTH = decoded("BTBZMqHH6r4Tts7J_aSIgg")
BODY = decoded(
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
    "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_documents_example_is_read() -> None:
    assert decrypt(BODY, PRIVATE, AUTH) == b"When I grow up, I want to be a watermelon"


def test_what_was_changed_on_the_way_is_not() -> None:
    with pytest.raises(ValueError, match="for somebody else"):
        decrypt(BODY[:-1] + bytes([BODY[-1] ^ 1]), PRIVATE, AUTH)


@pytest.mark.parametrize("body", [b"", BODY[:21], BODY[:90], BODY[:20] + b"\x40" + BODY[21:]])
def test_what_is_cut_is_not(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decrypt(body, PRIVATE, AUTH)
