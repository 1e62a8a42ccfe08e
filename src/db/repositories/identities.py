"""Who somebody is elsewhere: identities at providers, linked to people here (contract §3)."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ...errors import IdentityTaken
from ..ids import new_id
from ..models import Identity
from ..rows import Row

_EVERYTHING = list(Identity.__table__.columns)
_FOUND = select(*_EVERYTHING).where(
    Identity.provider == bindparam("of_provider"),
    Identity.issuer == bindparam("of_issuer"),
    Identity.subject == bindparam("of_subject"),
)
_OF = select(*_EVERYTHING).where(Identity.user_id == bindparam("person_id")).order_by(Identity.linked_at, Identity.id)


class Identities:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, provider: str, issuer: str, subject: str) -> Row | None:
        """The identity of whoever is `subject` at `issuer`, or None if it is linked to nobody."""
        key = {"of_provider": provider, "of_issuer": issuer, "of_subject": subject}
        return (await self._connection.execute(_FOUND, key)).one_or_none()

    async def of(self, user_id: UUID) -> Sequence[Row]:
        """Somebody's identities, the longest linked first."""
        return (await self._connection.execute(_OF, {"person_id": user_id})).all()

    async def add(  # noqa: PLR0913 - a row
        self,
        user_id: UUID,
        *,
        provider: str,
        issuer: str,
        subject: str,
        email: str | None,
        grant: str | None,
        moment: datetime,
    ) -> None:
        """Link an identity to a person. Raises IdentityTaken if it is somebody's, or they have one of this provider.

        Two who come at once cannot both succeed; the loser's transaction is over.
        """
        row = {
            "id": new_id(), "user_id": user_id, "provider": provider, "issuer": issuer, "subject": subject,
            "email": email, "grant": grant, "linked_at": moment,
        }  # fmt: skip
        try:
            await self._connection.execute(insert(Identity), row)
        except IntegrityError as error:
            raise IdentityTaken from error

    async def see(self, identity_id: UUID, email: str | None, grant: str | None) -> None:
        """The provider has spoken of them again: keep its latest address and grant."""
        seen = update(Identity).where(Identity.id == identity_id).values(email=email, grant=grant)
        await self._connection.execute(seen)

    async def forget_grant(self, identity_id: UUID) -> None:
        """The provider takes its tokens of them no more."""
        await self._connection.execute(update(Identity).where(Identity.id == identity_id).values(grant=None))

    async def remove(self, user_id: UUID, provider: str | None = None) -> Sequence[Row]:
        """Take away somebody's identity of one provider, or all of theirs; what was taken away."""
        removed = delete(Identity).where(Identity.user_id == user_id)
        if provider is not None:
            removed = removed.where(Identity.provider == provider)
        return (await self._connection.execute(removed.returning(*_EVERYTHING))).all()
