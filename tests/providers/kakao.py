"""Kakao, as its own documents have it: OpenID Connect whose habits are its own."""

import time
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from .stand_in import FIELDS, Given, Somebody, StandIn, pkce_fits

_KEY = RSAKey.generate_key(2048, {"kid": "kakao-1", "use": "sig", "alg": "RS256"})
ITEMS = {"openid", "account_email", "profile_nickname", "profile_image"}


class Kakao(StandIn):
    """A person's subject is a number. `needs_agreement`: they have an e-mail address and did not agree to share it."""

    name = "kakao"

    def __init__(self) -> None:
        super().__init__()
        self.admin_key = "kakao-admin-key-of-the-tests"
        self.needs_agreement = False

    def settings(self) -> dict[str, str]:
        """Settings of the service that lead here."""
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "admin_key": self.admin_key,
            "issuer": self.url,
            "authorize_url": f"{self.url}/oauth/authorize",
            "token_url": f"{self.url}/oauth/token",
            "userinfo_url": f"{self.url}/v2/user/me",
            "jwks_url": f"{self.url}/.well-known/jwks.json",
            "revoke_url": f"{self.url}/v1/user/unlink",
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/.well-known/openid-configuration", self.discovery),
            web.get("/.well-known/jwks.json", self.jwks),
            web.get("/oauth/authorize", self.authorize),
            web.post("/oauth/token", self.token),
            web.get("/v2/user/me", self.me),
            web.post("/v2/user/me", self.me),
            web.get("/v1/oidc/userinfo", self.userinfo),
            web.post("/v1/user/unlink", self.unlink),
        ]

    async def discovery(self, request: web.Request) -> web.Response:
        return web.json_response({
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/oauth/authorize",
            "token_endpoint": f"{self.url}/oauth/token",
            "userinfo_endpoint": f"{self.url}/v1/oidc/userinfo",
            "jwks_uri": f"{self.url}/.well-known/jwks.json",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        })  # fmt: skip

    async def jwks(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [_KEY.as_dict(private=False)]})

    async def authorize(self, request: web.Request) -> web.Response:
        fields = request[FIELDS]
        wrong = (
            fields.get("response_type") != "code"
            or fields.get("client_id") != self.client_id
            or fields.get("redirect_uri") != self.redirect_uri
            or not set(fields.get("scope", "openid").split(",")) <= ITEMS  # a blank between them makes one unknown item
            or fields.get("code_challenge_method", "S256") != "S256"
        )
        if wrong:
            return web.Response(status=400, text="KOE: the request is not as it should be")
        if not self.visitor:
            return self.back(fields, error="access_denied", error_description="User denied access")
        return self.back(fields, code=self.code_for(self.visitor, fields))

    async def token(self, request: web.Request) -> web.Response:
        fields = request[FIELDS]
        known = (self.client_id, self.client_secret) == (fields.get("client_id"), fields.get("client_secret"))
        if "Authorization" in request.headers or request.query or not known:
            return _refusal(401, "invalid_client", "Bad client credentials", "KOE010")
        if fields.get("grant_type") == "refresh_token":
            return self._refreshed(fields.get("refresh_token", ""))
        if fields.get("grant_type") != "authorization_code":
            return _refusal(400, "unsupported_grant_type", "not supported grant_type", "KOE114")
        given = self.spend(fields.get("code", ""))
        if not given or not pkce_fits(given.asked, fields.get("code_verifier")):
            return _refusal(400, "invalid_grant", "authorization code not found for code", "KOE320")
        if fields.get("redirect_uri") != given.asked["redirect_uri"]:
            return _refusal(400, "invalid_grant", "Redirect URI mismatch.", "KOE303")
        return self._tokens(given)

    def _tokens(self, given: Given) -> web.Response:
        access, refresh = self.tokens_for(given)
        scope = given.asked.get("scope", "").replace(",", " ")
        answer: dict[str, Any] = {
            "token_type": "bearer", "access_token": access, "expires_in": self.lifetime,
            "refresh_token": refresh, "refresh_token_expires_in": 5183999, "scope": scope,
        }  # fmt: skip
        if "openid" in scope.split():
            answer["id_token"] = self._id_token(given)
        return web.json_response(answer)

    def _refreshed(self, refresh_token: str) -> web.Response:
        given = self.refreshing.get(refresh_token)
        if not given or given.person.subject not in self.connected:
            return _refusal(400, "invalid_grant", "expired_or_invalid_refresh_token", "KOE322")
        access, _ = self.tokens_for(given)
        return web.json_response({"token_type": "bearer", "access_token": access, "expires_in": self.lifetime})

    def _id_token(self, given: Given) -> str:
        person, moment = given.person, int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url, "aud": self.client_id, "sub": person.subject,
            "iat": moment, "exp": moment + self.lifetime, "auth_time": moment,
            "nickname": person.nickname, "picture": person.picture,
        }  # fmt: skip
        if person.email and not self.needs_agreement:
            claims["email"] = person.email  # and not a word of whether it is verified
        if "nonce" in given.asked:
            claims["nonce"] = given.asked["nonce"]
        said = {name: claim for name, claim in claims.items() if claim is not None}
        return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": "kakao-1"}, said, _KEY)

    async def me(self, request: web.Request) -> web.Response:
        given = self.bearer(request)
        if not given:
            return _not_found_token()
        return web.json_response({
            "id": int(given.person.subject),
            "connected_at": "2026-11-21T03:00:00Z",
            "kakao_account": self._account(given.person),
        })  # fmt: skip

    def _account(self, person: Somebody) -> dict[str, Any]:
        account: dict[str, Any] = {
            "profile_nickname_needs_agreement": person.nickname is None,
            "profile_image_needs_agreement": person.picture is None,
            "has_email": person.email is not None or self.needs_agreement,
            "email_needs_agreement": self.needs_agreement,
        }
        profile = {"nickname": person.nickname, "profile_image_url": person.picture, "is_default_image": False}
        account["profile"] = {name: value for name, value in profile.items() if value is not None}
        if person.email and not self.needs_agreement:
            account |= {"is_email_valid": True, "is_email_verified": person.email_verified, "email": person.email}
        return account

    async def userinfo(self, request: web.Request) -> web.Response:
        given = self.bearer(request)
        if not given:
            return _not_found_token()
        return web.json_response({"sub": given.person.subject, "nickname": given.person.nickname})

    async def unlink(self, request: web.Request) -> web.Response:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        subject = None
        if scheme == "KakaoAK" and key == self.admin_key:
            if request[FIELDS].get("target_id_type") != "user_id":
                return web.json_response({"msg": "target_id_type is required", "code": -2}, status=400)
            subject = request[FIELDS].get("target_id", "")
            if subject not in self.connected:
                return web.json_response({"msg": "NotRegisteredUserException", "code": -101}, status=400)
        elif given := self.bearer(request):
            subject = given.person.subject
        if subject is None:
            return _not_found_token()
        self.connected.discard(subject)
        return web.json_response({"id": int(subject)})


def _refusal(status: int, error: str, description: str, code: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description, "error_code": code}, status=status)


def _not_found_token() -> web.Response:
    return web.json_response({"msg": "this access token does not exist", "code": -401}, status=401)
