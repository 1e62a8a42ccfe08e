"""Kakao tells us that somebody has unlinked this service over there.

https://developers.kakao.com/docs/latest/ko/kakaologin/callback (User unlinked webhook)
"""

import hmac
from collections.abc import Collection

from ..db.database import Database
from ..errors import NotFound, Unauthorized
from ..oauth.providers import Provider
from .identities import has_way_in
from .sessions import Sessions


class Unlinks:
    """`kakao`: None if it is not configured. `methods`: what can be signed in with."""

    def __init__(
        self, database: Database, sessions: Sessions, kakao: Provider | None, methods: Collection[str]
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._kakao = kakao
        self._methods = methods

    def refuse_stranger(self, authorization: str) -> None:
        """Raise NotFound if there is no admin key to know Kakao by; Unauthorized unless the header has it."""
        if self._kakao is None or not self._kakao.admin_key:
            raise NotFound
        expected = f"KakaoAK {self._kakao.admin_key}"
        if not hmac.compare_digest(authorization.encode(errors="replace"), expected.encode()):
            raise Unauthorized("Only Kakao may say this.")

    async def note(self, subject: str) -> None:
        """Forget the identity, or, if nothing else opens the account, keep it for their return and end its sessions.

        `subject` is a number (https://developers.kakao.com/docs/latest/ko/kakaologin/rest-api#req-user-info). Nothing
        happens if it is nobody's. What Kakao gave us of them is worth nothing any more.
        """
        if self._kakao is None or not (subject.isascii() and subject.isdigit()):
            return
        key = (self._kakao.name, self._kakao.issuer, subject)
        async with self._database.transaction() as tx:
            found = await tx.identities.find(*key)
            user = await tx.users.lock(found.user_id) if found else None
            found = await tx.identities.find(*key)
            if user is None or found is None or found.user_id != user.id:
                return
            if has_way_in(user, await tx.identities.of(user.id), self._methods, without=found.provider):
                await tx.identities.remove(user.id, found.provider)
            else:
                await tx.identities.forget_grant(found.id)
                await self._sessions.end(tx, user.id)
