"""Sign-ins under way: browsers that were sent to a provider and have not come back; and tokens that came once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import RedeemedToken, SignInAttempt
from ..rows import Row
from ..upsert import insert_if_absent


class SignInAttempts:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(  # noqa: PLR0913 - a row
        self,
        state_hash: str,
        browser_hash: str,
        provider: str,
        *,
        nonce: str,
        verifier: str,
        redirect_to: str,
        session_id: UUID | None,
        expires_at: datetime,
    ) -> None:
        """A browser is sent to a provider."""
        row = {
            "state_hash": state_hash, "browser_hash": browser_hash, "provider": provider, "nonce": nonce,
            "verifier": verifier, "redirect_to": redirect_to, "session_id": session_id, "expires_at": expires_at,
        }  # fmt: skip
        await self._connection.execute(insert(SignInAttempt), row)

    async def find(self, state_hash: str, provider: str) -> Row | None:
        """The attempt of that state at this provider, whoever asks, also one that is used or has expired."""
        found = select(*SignInAttempt.__table__.columns).where(
            SignInAttempt.state_hash == state_hash, SignInAttempt.provider == provider
        )
        return (await self._connection.execute(found)).one_or_none()

    async def use(self, state_hash: str, moment: datetime) -> bool:
        """Use an attempt up, for one caller only. False if it is used or has expired."""
        unused = (SignInAttempt.state_hash == state_hash, SignInAttempt.used_at.is_(None))
        used = (
            update(SignInAttempt)
            .where(*unused, SignInAttempt.expires_at > moment)
            .values(used_at=moment)
            .returning(SignInAttempt.state_hash)
        )
        return (await self._connection.execute(used)).first() is not None

    async def redeem(self, token_hash: str, expires_at: datetime) -> bool:
        """Note that a token was exchanged, until it expires. False if it was before."""
        noted = insert_if_absent(self._connection.dialect.name, RedeemedToken).returning(RedeemedToken.token_hash)
        row = {"token_hash": token_hash, "expires_at": expires_at}
        return (await self._connection.execute(noted, row)).first() is not None

    async def sweep(self, moment: datetime) -> None:
        """Forget what has expired."""
        for table in (SignInAttempt, RedeemedToken):
            await self._connection.execute(delete(table).where(table.expires_at <= moment))
