"""The faults of the system whose features these are, about signing in through others: none of them is here."""

import pytest

from .browser import Tab
from .providers.stage import Stage, error_of, somebody

pytestmark = pytest.mark.one_database


@pytest.mark.parametrize("provider", ["google", "naver", "kakao", "acme"])
async def test_predecessor_22_a_sign_in_is_bound_to_the_browser_that_began_it(
    stage: Stage, tab: Tab, elsewhere: Tab, provider: str
) -> None:
    held = await stage.sign_in(elsewhere, provider, somebody(), hold="/callback")
    sent = await stage.asked(provider)
    needed = {"state", "code_challenge", "code_challenge_method"} | ({"nonce"} if provider != "naver" else set())
    assert needed <= set(sent.query)
    async with stage.nothing_made():
        for url in (
            held.url,
            held.url.without_query_params("state"),
            held.url.update_query(state="0.8444218515250481"),
        ):
            await tab.visit(url)
            assert error_of(stage.landed(tab)) == "sign_in_expired"
    assert await stage.who(tab) is None


async def test_predecessor_23_the_path_and_not_the_query_says_which_provider_it_was(stage: Stage, tab: Tab) -> None:
    held = await stage.sign_in(tab, "kakao", somebody(), hold="/callback")
    async with stage.nothing_made():
        await tab.visit(stage.callback("naver", **dict(held.url.query)))
        assert error_of(stage.landed(tab)) == "sign_in_expired"
    await tab.visit(held.url.update_query(type="naver", provider="naver"))
    assert (await stage.me(tab))["identities"][0]["provider"] == "kakao"
    assert not stage.naver.asked


async def test_predecessor_24_an_address_is_no_proof_of_who_somebody_is(stage: Stage, tab: Tab, elsewhere: Tab) -> None:
    anna = await stage.register(tab)
    for verified in (True, False):
        async with stage.nothing_made():
            page = await stage.sign_in(elsewhere, "kakao", somebody("Mallory", anna.email, email_verified=verified))
        assert error_of(page) == "email_owned_by_other_method"
    assert await stage.who(elsewhere) is None


async def test_predecessor_25_a_failed_look_up_signs_nobody_in(stage: Stage, tab: Tab) -> None:
    stage.naver.holder = lambda _: None  # type: ignore[method-assign]
    stage.kakao.down.add("/v2/user/me")
    for provider in ("naver", "kakao"):
        async with stage.nothing_made():
            assert error_of(await stage.sign_in(tab, provider, somebody()))
        assert await stage.who(tab) is None


async def test_predecessor_26_no_code_token_or_secret_is_logged_kept_or_asked_with_nothing(
    stage: Stage, tab: Tab, capfd: pytest.CaptureFixture[str]
) -> None:
    held = await stage.sign_in(tab, "kakao", somebody(email=None), hold="/callback")
    await tab.visit(held.url)
    stage.kakao.down.add("/oauth/token")
    failing = await stage.sign_in(tab, "kakao", somebody(), hold="/callback")
    await tab.visit(failing.url)
    written = "".join(capfd.readouterr())
    codes = [page.url.query["code"] for page in (held, failing)]
    for secret in (*codes, *stage.kakao.access, stage.kakao.client_secret, stage.kakao.admin_key):
        assert secret not in written
    assert "code" not in stage.landed(tab).url.query  # nor does the page's address, which a history would keep, have it
    bearers = [asked.headers["Authorization"] for asked in stage.kakao.heard("/v2/user/me")]
    assert bearers == [f"Bearer {token}" for token in stage.kakao.access]
