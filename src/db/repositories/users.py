"""People's rows, as accounts see them; how others find them is in people.py."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ...errors import EmailTaken
from ...schemas.people import Me
from .. import names
from ..gathered import gathered
from ..models import Identity, NameGram, User
from ..rows import Row
from ..snapshots import DIRECT, any_of
from ..views import me_view

_IDENTITIES = gathered(Identity.user_id == User.id, Identity.provider, Identity.email, Identity.linked_at)
_EVERYTHING = [*User.__table__.columns, _IDENTITIES.label("identities")]
_ME = select(*_EVERYTHING).where(User.id == bindparam("user_id"), User.deleted_at.is_(None))
_BY_EMAIL = select(*_EVERYTHING).where(User.email_key == bindparam("email_key"), User.deleted_at.is_(None))
_TAKEN = select(exists().where(User.email_key == bindparam("email_key")))
_LOCKED = _ME.with_for_update(key_share=True)  # others may still refer to the person
_ADDRESSEES = (
    select(*(getattr(User, name) for name in ("id", "email", "email_key", "email_verified_at", "email_bounced_at")))
    .add_columns(User.nickname, User.language)
    .where(any_of(User.id, "user_ids"), User.deleted_at.is_(None))
    .execution_options(**DIRECT)
)
_SET_PASSWORD = update(User).where(User.id == bindparam("person_id"))


class Users:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(  # noqa: PLR0913 - a row
        self,
        user_id: UUID,
        *,
        email: str | None,
        email_key: str | None,
        password_hash: str | None,
        nickname: str,
        language: str,
        moment: datetime,
    ) -> None:
        """A new person, found by name from now on. Raises EmailTaken; two who come at once cannot both succeed."""
        keys = names.keys(nickname)
        person = {
            "id": user_id, "email": email, "email_key": email_key, "password_hash": password_hash,
            "nickname": nickname, "nickname_key": keys.key, "nickname_initials": keys.initials,
            "intro": "", "language": language, "theme": "system", "created_at": moment,
        }  # fmt: skip
        try:
            await self._connection.execute(insert(User), person)
        except IntegrityError as error:
            raise EmailTaken from error
        rows = [{"gram": gram, "user_id": user_id} for gram in sorted(names.grams(keys))]
        await self._connection.execute(insert(NameGram), rows)

    async def me_row(self, user_id: UUID) -> Row | None:
        """The whole row of somebody who has not deleted the account, password hash and all: not for showing.

        `identities` beside it lists their linked sign-in methods, as `me_view` takes them.
        """
        return (await self._connection.execute(_ME, {"user_id": user_id})).one_or_none()

    async def me(self, user_id: UUID) -> Me | None:
        """A person as they see themselves; None if there is no such account any more."""
        row = await self.me_row(user_id)
        return me_view(row) if row else None

    async def lock(self, user_id: UUID) -> Row | None:
        """`me_row`, held against everybody else's changes until this transaction ends."""
        return (await self._connection.execute(_LOCKED, {"user_id": user_id})).one_or_none()

    async def credentials(self, email_key: str) -> Row | None:
        """The whole row of the account with this address, or None."""
        return (await self._connection.execute(_BY_EMAIL, {"email_key": email_key})).one_or_none()

    async def email_is_taken(self, email_key: str) -> bool:
        return bool((await self._connection.execute(_TAKEN, {"email_key": email_key})).scalar())

    async def set_password(self, user_id: UUID, password_hash: str) -> None:
        await self._connection.execute(_SET_PASSWORD, {"person_id": user_id, "password_hash": password_hash})

    async def verify_email(self, user_id: UUID, email_key: str, moment: datetime) -> None:
        """Whoever reads that mailbox has shown it, and that it takes mail. A second time changes nothing."""
        in_doubt = or_(User.email_verified_at.is_(None), User.email_bounced_at.is_not(None))
        theirs = update(User).where(User.id == user_id, User.email_key == email_key, in_doubt)
        verified = {"email_verified_at": func.coalesce(User.email_verified_at, moment), "email_bounced_at": None}
        await self._connection.execute(theirs.values(verified))

    async def addressees(self, user_ids: Collection[UUID]) -> dict[UUID, Row]:
        """Where mail to these people goes, and in which language; without who has deleted the account."""
        rows = (await self._connection.execute(_ADDRESSEES, {"user_ids": [*user_ids]})).all()
        return {row.id: row for row in rows}

    async def mark_bounced(self, email_keys: Collection[str], moment: datetime) -> int:
        """Write that these addresses take no mail, whosever they are; how many are somebody's."""
        ids = select(User.id).where(User.email_key.in_(email_keys)).order_by(User.id)
        locked = (await self._connection.scalars(ids.with_for_update(key_share=True))).all()
        bounced = update(User).where(User.id.in_(locked)).values(email_bounced_at=moment)
        if locked:
            await self._connection.execute(bounced)
        return len(locked)
