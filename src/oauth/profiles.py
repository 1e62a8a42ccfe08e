"""Who it is: each provider's answer as one kind of identity. Each reader raises Refused and Unanswered."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from . import answers
from .answers import mapping
from .claims import Claims
from .discovery import Endpoints
from .failures import Refused
from .identity import VerifiedIdentity
from .outbound import Outbound
from .providers import Dialect, Provider


class Asking(NamedTuple):
    """What a reader has at hand. `claims`: those of the verified ID token; empty where there are none."""

    outbound: Outbound
    provider: Provider
    endpoints: Endpoints
    access_token: str
    claims: Claims


class Person(NamedTuple):
    """What an answer says of somebody, in the provider's words."""

    subject: str
    email: object
    email_verified: bool
    nickname: str | None
    picture: object


async def identity_of(asking: Asking) -> VerifiedIdentity:
    """Whom the access token and the ID token are about."""
    person = await _READERS[asking.provider.dialect](asking)
    address = answers.email(person.email)
    return VerifiedIdentity(
        provider=asking.provider.name,
        issuer=asking.provider.issuer,
        subject=person.subject,
        email=address,
        email_verified=address is not None and person.email_verified,
        nickname=person.nickname,
        picture=answers.picture(person.picture),
    )


async def _oidc(asking: Asking) -> Person:
    """OpenID Connect Core §5.1 and §5.3: the ID token if it says enough, and userinfo, of the same `sub`, if not."""
    said: Mapping[str, Any] = asking.claims
    if asking.endpoints.userinfo and not ("email" in said and "name" in said):
        said = await _userinfo(asking)
        if said.get("sub") != asking.claims["sub"]:
            raise Refused("userinfo_of_another")
        if "email" in asking.claims:  # an address and whether it is verified belong together
            said = {**said, **{key: asking.claims.get(key) for key in ("email", "email_verified")}}
    return Person(
        asking.claims["sub"],
        email=said.get("email"),
        email_verified=said.get("email_verified") is True,
        nickname=answers.nickname(said.get("name"), said.get("nickname"), said.get("preferred_username")),
        picture=said.get("picture"),
    )


async def _kakao(asking: Asking) -> Person:
    """https://developers.kakao.com/docs/latest/ko/kakaologin/rest-api#req-user-info: `id` is a number there."""
    me = await _userinfo(asking)
    if type(me.get("id")) is not int or str(me["id"]) != asking.claims["sub"]:
        raise Refused("userinfo_of_another")
    account = mapping(me.get("kakao_account"))
    profile = mapping(account.get("profile"))
    return Person(
        str(me["id"]),
        email=account.get("email"),
        email_verified=account.get("is_email_valid") is True and account.get("is_email_verified") is True,
        nickname=answers.nickname(profile.get("nickname")),
        picture=None if profile.get("is_default_image") is True else profile.get("profile_image_url"),
    )


async def _naver(asking: Asking) -> Person:
    """https://developers.naver.com/docs/login/profile/profile.md: `resultcode`, not the status, says if it worked."""
    answer = await _userinfo(asking)
    if answer.get("resultcode") != "00":
        raise Refused("userinfo_refused")
    person = mapping(answer.get("response"))
    if (subject := answers.text(person.get("id"), answers.MAX_SUBJECT)) is None:
        raise Refused("bad_subject")
    return Person(
        subject,
        email=person.get("email"),
        email_verified=False,  # it is a contact address that nobody has proved
        nickname=answers.nickname(person.get("nickname"), person.get("name")),
        picture=person.get("profile_image"),
    )


_READERS: Final[Mapping[Dialect, Callable[[Asking], Awaitable[Person]]]] = {
    "oidc": _oidc, "google": _oidc, "kakao": _kakao, "naver": _naver
}  # fmt: skip


async def _userinfo(asking: Asking) -> dict[str, Any]:
    answer = await asking.outbound.ask(
        asking.endpoints.userinfo or "",
        asking.provider.origins,
        headers={"Authorization": f"Bearer {asking.access_token}"},
    )
    if not answer.is_success:
        raise Refused("userinfo_refused")
    return answer.json()
