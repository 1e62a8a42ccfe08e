"""Unlinking at the provider: it forgets that the person uses this service. Each way raises Unanswered, to try again."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlencode

import structlog

from .discovery import Endpoints
from .failures import Refused, Unanswered
from .identity import Grant
from .outbound import Answer, Outbound
from .providers import Dialect, Provider

_log = structlog.get_logger("chatty.oauth")


class Revoking(NamedTuple):
    """What a way has at hand."""

    outbound: Outbound
    provider: Provider
    endpoints: Endpoints
    subject: str
    grant: Grant | None


async def revoke(revoking: Revoking) -> None:
    """Done, or nothing more to be done: the grant is gone, or it cannot be reached any more."""
    try:
        await _WAYS[revoking.provider.dialect](revoking)
    except Refused as refusal:
        # It has ended at the provider already, or nobody holds a token that works: trying again changes neither.
        _log.warning("revoking at a provider refused", provider=revoking.provider.name, reason=refusal.reason)


async def _standard(revoking: Revoking) -> None:
    """RFC 7009, where the provider offers it."""
    from .code_flow import CodeFlow

    if revoking.grant and revoking.endpoints.revoke:
        flow = CodeFlow(revoking.outbound, revoking.provider, revoking.endpoints)
        _settled(await flow.revoke(revoking.grant))


async def _google(revoking: Revoking) -> None:
    """https://developers.google.com/identity/protocols/oauth2/web-server#tokenrevoke: the token is all it asks for.

    An access token alone would leave the grant in the person's account.
    """
    if revoking.grant:
        token = revoking.grant.refresh_token or revoking.grant.access_token
        _settled(await _post(revoking, {"token": token}))


async def _kakao(revoking: Revoking) -> None:
    """https://developers.kakao.com/docs/latest/ko/kakaologin/rest-api#unlink: by the admin key, else by a token."""
    if key := revoking.provider.admin_key:
        form = {"target_id_type": "user_id", "target_id": revoking.subject}
        _settled(await _post(revoking, form, {"Authorization": f"KakaoAK {key}"}))
    elif revoking.grant:
        token = (await _refreshed(revoking, revoking.grant)).access_token
        _settled(await _post(revoking, {}, {"Authorization": f"Bearer {token}"}), by_token=True)


async def _naver(revoking: Revoking) -> None:
    """https://developers.naver.com/docs/login/api/api.md#6-2: at the token endpoint, errors with status 200."""
    if not revoking.grant:
        return
    token = (await _refreshed(revoking, revoking.grant)).access_token
    form = {
        "grant_type": "delete",
        "client_id": revoking.provider.client_id,
        "client_secret": revoking.provider.client_secret,
        "access_token": token,
        "service_provider": "NAVER",
    }
    answer = await _post(revoking, form)
    _settled(answer)
    if "error" in answer.json():
        raise Refused("revocation_refused")


_WAYS: Final[Mapping[Dialect, Callable[[Revoking], Awaitable[None]]]] = {
    "oidc": _standard, "google": _google, "kakao": _kakao, "naver": _naver
}  # fmt: skip


async def _refreshed(revoking: Revoking, grant: Grant) -> Grant:
    from .code_flow import CodeFlow

    return await CodeFlow(revoking.outbound, revoking.provider, revoking.endpoints).refreshed(grant)


async def _post(revoking: Revoking, form: dict[str, str], headers: Mapping[str, str] | None = None) -> Answer:
    address = revoking.endpoints.revoke
    if address is None:
        raise Refused("no_revocation_endpoint")
    return await revoking.outbound.ask(address, revoking.provider.origins, form=urlencode(form), headers=headers)


def _settled(answer: Answer, *, by_token: bool = False) -> None:
    """Return if it is done. Raises Refused if it is of no use to try again, Unanswered if our settings may be wrong."""
    if answer.is_success:
        return
    if answer.status == 400 or (by_token and answer.status == 401):
        raise Refused("revocation_refused")
    raise Unanswered("revocation_not_allowed")
