"""Single-use tokens that were mailed; only their SHA-256 is kept."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import EmailToken
from ..rows import Row

Purpose = Literal["verify", "reset"]


class EmailTokens:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def replace(  # noqa: PLR0913, PLR0917 - a row
        self, token_hash: str, user_id: UUID, purpose: Purpose, email_key: str, moment: datetime, expires_at: datetime
    ) -> None:
        """A new token, in place of any earlier one of this purpose: only the latest mail's link works.

        The person's row must be locked: of two at once the second would meet the first one's unique key.
        """
        await self.forget(user_id, purpose)
        row = {
            "token_hash": token_hash, "user_id": user_id, "purpose": purpose,
            "email_key": email_key, "created_at": moment, "expires_at": expires_at,
        }  # fmt: skip
        await self._connection.execute(insert(EmailToken), row)

    async def forget(self, user_id: UUID, purpose: Purpose) -> None:
        """Take away the tokens of a purpose that somebody was mailed."""
        await self._connection.execute(
            delete(EmailToken).where(EmailToken.user_id == user_id, EmailToken.purpose == purpose)
        )

    async def find(self, token_hash: str, purpose: Purpose, moment: datetime) -> UUID | None:
        """Whose token that is, if it can still be used; it stays usable."""
        found = select(EmailToken.user_id).where(
            EmailToken.token_hash == token_hash, EmailToken.purpose == purpose, EmailToken.expires_at > moment
        )
        return (await self._connection.execute(found)).scalar()

    async def use(self, token_hash: str, purpose: Purpose, moment: datetime) -> Row | None:
        """Use a token up: `user_id` and `email_key` of it, for one caller only; None if it cannot be used."""
        used = (
            delete(EmailToken)
            .where(EmailToken.token_hash == token_hash, EmailToken.purpose == purpose)
            .returning(EmailToken.user_id, EmailToken.email_key, EmailToken.expires_at)
        )
        row = (await self._connection.execute(used)).one_or_none()
        return row if row and row.expires_at > moment else None

    async def sweep(self, moment: datetime) -> None:
        """Forget what has expired."""
        await self._connection.execute(delete(EmailToken).where(EmailToken.expires_at <= moment))
