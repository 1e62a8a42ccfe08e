"""Tokens of mails: whom they name, and that nobody but us can make one."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import Unauthorized
from src.services.file_signatures import FileSignatures
from src.services.tokens import Tokens, derived
from src.services.unsubscribing import UnsubscribeTokens

KEY = "a signing key of at least 32 bytes!"
ANNA = UUID("019aa5b0-7d3e-7000-8000-00000000000a")


@pytest.fixture
def tokens() -> UnsubscribeTokens:
    return UnsubscribeTokens(KEY, "https://chatty.example")


def test_a_token_names_one_person_and_is_the_same_in_each_mail(tokens: UnsubscribeTokens) -> None:
    token = tokens.token(ANNA)
    assert tokens.read(token) == ANNA and tokens.token(ANNA) == token
    assert tokens.read(tokens.token(boris := uuid4())) == boris
    assert UnsubscribeTokens(KEY, "https://elsewhere.example").read(token) == ANNA


def test_links_lead_to_a_page_and_to_what_mail_programs_call(tokens: UnsubscribeTokens) -> None:
    token = tokens.token(ANNA)
    assert tokens.links(ANNA) == (
        f"https://chatty.example/unsubscribe?token={token}",
        f"https://chatty.example/api/v1/notifications/unsubscribe?token={token}",
    )


def test_links_fit_into_a_header(tokens: UnsubscribeTokens) -> None:
    links = UnsubscribeTokens(KEY, "https://채팅.한국:8443/우리 집").links(ANNA)
    assert all(link.isascii() and " " not in link and len(link) < 300 for link in links)
    assert links.page.startswith("https://xn--ou6bo7j.xn--3e0b707e:8443/%EC%9A%B0%EB%A6%AC%20%EC%A7%91/unsubscribe?")


def test_every_changed_letter_is_noticed(tokens: UnsubscribeTokens) -> None:
    token = tokens.token(ANNA)
    for position in range(len(token)):
        for letter in "Ab0-_":
            if letter != token[position]:
                with pytest.raises(Unauthorized):
                    tokens.read(token[:position] + letter + token[position + 1 :])


@pytest.mark.parametrize("change", [" {}", "{}=", "{}==", "{}\n", "{}A", "{}%", "+{}", "{}\x00"])
def test_a_token_has_one_spelling(tokens: UnsubscribeTokens, change: str) -> None:
    with pytest.raises(Unauthorized):
        tokens.read(change.format(tokens.token(ANNA)))


@given(token=st.text(max_size=80) | st.text("ABab01-_", min_size=50, max_size=60))
def test_nothing_else_is_one(token: str) -> None:
    with pytest.raises(Unauthorized):
        UnsubscribeTokens(KEY, "https://chatty.example").read(token)


def test_another_service_and_another_purpose_make_none_of_ours(tokens: UnsubscribeTokens) -> None:
    with pytest.raises(Unauthorized):
        tokens.read(UnsubscribeTokens("another signing key of 32 bytes..", "https://chatty.example").token(ANNA))
    assert derived(KEY, "unsubscribe") not in (derived(KEY, "file address"), derived(KEY, "refresh token"))
    for foreign in (
        Tokens(KEY, "https://chatty.example", 900).refresh(ANNA, 1),
        FileSignatures(KEY, 900)._mac(ANNA, ANNA, 1),
    ):
        with pytest.raises(Unauthorized):
            tokens.read(foreign)
