"""People as others find them: search by name, and the locks under which two of them become friends."""

from uuid import UUID

from sqlalchemy import bindparam, delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from .. import names
from ..models import NameGram

_FORGET_NAME = delete(NameGram).where(NameGram.user_id == bindparam("person_id"))


class People:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def index_name(self, user_id: UUID, nickname: str) -> None:
        """Have people find `user_id` by this nickname, and no longer by an earlier one."""
        await self._connection.execute(_FORGET_NAME, {"person_id": user_id})
        rows = [{"gram": gram, "user_id": user_id} for gram in sorted(names.grams(names.keys(nickname)))]
        await self._connection.execute(insert(NameGram), rows)
