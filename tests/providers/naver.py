"""Naver, as its own documents have it: OAuth 2 without OpenID Connect, and errors that say 200."""

from typing import Any

from aiohttp import web

from .stand_in import FIELDS, Given, StandIn


class Naver(StandIn):
    """`polite`: a refused profile says 401, as documented; else 200, as some report."""

    name = "naver"

    def __init__(self) -> None:
        super().__init__()
        self.polite = True

    def settings(self) -> dict[str, str]:
        """Settings of the service that lead here."""
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "authorize_url": f"{self.url}/oauth2.0/authorize",
            "token_url": f"{self.url}/oauth2.0/token",
            "userinfo_url": f"{self.url}/v1/nid/me",
            "revoke_url": f"{self.url}/oauth2.0/token",
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/oauth2.0/authorize", self.authorize),
            web.get("/oauth2.0/token", self.token),
            web.post("/oauth2.0/token", self.token),
            web.get("/v1/nid/me", self.me),
        ]

    async def authorize(self, request: web.Request) -> web.Response:
        fields = request[FIELDS]
        wrong = (
            fields.get("response_type") != "code"
            or fields.get("client_id") != self.client_id
            or fields.get("redirect_uri") != self.redirect_uri
            or not fields.get("state")
            or "scope" in fields
        )
        if wrong:
            return web.Response(status=400, text="잘못된 요청입니다.")
        if not self.visitor:
            return self.back(fields, error="access_denied", error_description="Canceled By User")
        return self.back(fields, code=self.code_for(self.visitor, fields))

    async def token(self, request: web.Request) -> web.Response:
        fields = request[FIELDS]
        known = (self.client_id, self.client_secret) == (fields.get("client_id"), fields.get("client_secret"))
        if "Authorization" in request.headers or not known:
            return _refusal("invalid_client", "wrong client id / client secret pair")
        grants = {
            "authorization_code": self._redeemed,
            "refresh_token": self._refreshed,
            "delete": self._deleted,
        }
        grant = grants.get(fields.get("grant_type", ""))
        return grant(fields) if grant else _refusal("unsupported_grant_type", "no valid grant_type")

    def _redeemed(self, fields: dict[str, str]) -> web.Response:
        if not fields.get("state"):
            return _refusal("invalid_request", "state is missing")
        given = self.spend(fields.get("code", ""))
        if not given or fields["state"] != given.asked["state"]:
            return _refusal("invalid_request", "no valid data in session")
        if fields.get("redirect_uri", given.asked["redirect_uri"]) != given.asked["redirect_uri"]:
            return _refusal("invalid_request", "wrong redirect_uri")
        return self._tokens(given, with_refresh=True)

    def _tokens(self, given: Given, *, with_refresh: bool) -> web.Response:
        access, refresh = self.tokens_for(given)
        answer = {"access_token": access, "token_type": "bearer", "expires_in": str(self.lifetime)}
        return web.json_response(answer | ({"refresh_token": refresh} if with_refresh else {}))

    def _refreshed(self, fields: dict[str, str]) -> web.Response:
        given = self.refreshing.get(fields.get("refresh_token", ""))
        if not given or given.person.subject not in self.connected:
            return _refusal("invalid_request", "invalid refresh_token")
        return self._tokens(given, with_refresh=False)

    def _deleted(self, fields: dict[str, str]) -> web.Response:
        if fields.get("service_provider") != "NAVER":
            return _refusal("invalid_request", "service_provider is missing")
        token = fields.get("access_token", "")
        given = self.holder(token)
        if not given:
            return _refusal("invalid_request", "no valid access_token")
        self.connected.discard(given.person.subject)
        return web.json_response({"access_token": token, "result": "success"})

    async def me(self, request: web.Request) -> web.Response:
        given = self.bearer(request)
        if not given:
            refusal = {"resultcode": "024", "message": "Authentication failed (인증 실패하였습니다.)"}
            return web.json_response(refusal, status=401 if self.polite else 200)
        person = given.person
        response: dict[str, Any] = {"id": person.subject, "nickname": person.nickname, "email": person.email}
        response |= {"profile_image": person.picture}
        said = {name: value for name, value in response.items() if value is not None}
        return web.json_response({"resultcode": "00", "message": "success", "response": said})


def _refusal(error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description})
