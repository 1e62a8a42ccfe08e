"""What is known of each provider, and what an operator's settings make of it."""

from typing import Any

from src.config import Settings
from src.oauth.providers import Provider, providers_from


def provider(name: str, **given: Any) -> Provider:
    settings = Settings(_env_file=None, providers={name: {"client_id": "id", "client_secret": "secret", **given}})
    return providers_from(settings)[name]


def test_they_come_in_the_order_in_which_they_are_shown() -> None:
    each = {"client_id": "id", "client_secret": "secret", "issuer": "https://id.example"}
    settings = Settings(_env_file=None, providers=dict.fromkeys(["zulu", "kakao", "alpha", "naver", "google"], each))
    assert list(providers_from(settings)) == ["google", "naver", "kakao", "alpha", "zulu"]
    assert providers_from(Settings(_env_file=None)) == {}


def test_google_is_found_by_discovery_on_its_own_hosts() -> None:
    google = provider("google")
    assert google.discovery_url == "https://accounts.google.com/.well-known/openid-configuration"
    assert google.origins == {
        f"https://{host}:443"
        for host in (
            "accounts.google.com",
            "oauth2.googleapis.com",
            "www.googleapis.com",
            "openidconnect.googleapis.com",
        )
    }
    assert google.issuers == {"https://accounts.google.com", "accounts.google.com"}
    assert dict(google.authorize_params) == {"access_type": "offline"}
    assert (google.scope, google.algorithms, google.display_name) == ("openid email profile", ("RS256",), "Google")


def test_kakao_has_commas_in_its_scope_and_the_secret_in_the_body() -> None:
    kakao = provider("kakao")
    assert kakao.scope == "openid,account_email,profile_nickname,profile_image"
    assert kakao.auth_method == "client_secret_post"
    assert kakao.discovery_url is None
    assert kakao.origins == {"https://kauth.kakao.com:443", "https://kapi.kakao.com:443"}
    assert provider("kakao", client_secret="").auth_method == "none"


def test_naver_has_no_scope_and_no_id_tokens() -> None:
    naver = provider("naver")
    assert (naver.scope, naver.is_oidc, naver.discovery_url) == (None, False, None)
    assert (naver.issuer, naver.auth_method) == ("https://nid.naver.com", "client_secret_post")
    assert naver.origins == {"https://nid.naver.com:443", "https://openapi.naver.com:443"}


def test_any_other_is_known_by_its_issuer_alone() -> None:
    corp = provider("corp_id", issuer="https://id.example/realms/a/")
    assert corp.discovery_url == "https://id.example/realms/a/.well-known/openid-configuration"
    assert corp.origins == {"https://id.example:443"}
    assert corp.issuers == {"https://id.example/realms/a/"}
    assert (corp.display_name, corp.scope, corp.algorithms) == ("Corp Id", "openid email profile", ("RS256",))
    assert provider("corp", issuer="https://id.example", client_secret="").auth_method == "none"


def test_settings_come_before_what_is_known() -> None:
    google = provider(
        "google", issuer="https://other.example", algorithms="ES256 RS256", scope="openid", display_name="G"
    )
    assert google.issuers == {"https://other.example"}
    assert google.discovery_url == "https://other.example/.well-known/openid-configuration"
    assert (google.algorithms, google.scope, google.display_name) == (("ES256", "RS256"), "openid", "G")


def test_plain_http_is_allowed_where_the_setting_has_it_and_nowhere_else() -> None:
    corp = provider("corp", issuer="https://id.example", hosts="keys.example", token_url="http://127.0.0.1:8/token")
    assert corp.origins == {"https://id.example:443", "https://keys.example:443", "http://127.0.0.1:8"}


def test_no_secret_is_shown() -> None:
    assert "secret" not in repr(provider("kakao", client_secret="s-secret", admin_key="k-secret")).replace(
        "client_secret_post", ""
    )
