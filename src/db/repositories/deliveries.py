"""What became of lines for members, on channels but the live one."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import Delivery

_KEY: tuple[Any, ...] = (Delivery.room_id, Delivery.user_id, Delivery.channel, Delivery.first_seq)
_ONE = delete(Delivery).where(and_(*(key == bindparam(f"the_{key.name}", type_=key.type) for key in _KEY)))


class Deliveries:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def forget_some_of_room(self, room_id: UUID, limit: int) -> bool:
        """Forget some rows of a room. False if there was none."""
        rows = select(*_KEY).where(Delivery.room_id == room_id).order_by(*_KEY).limit(limit)
        return await self._delete(rows)

    async def sweep(self, before: datetime, limit: int) -> bool:
        """Forget some rows that are older. False if there was none."""
        return await self._delete(select(*_KEY).where(Delivery.at < before).limit(limit))

    async def _delete(self, some: Select[*tuple[Any, ...]]) -> bool:
        rows = (await self._connection.execute(some)).all()
        if rows:
            keys = [{f"the_{name}": value for name, value in row._mapping.items()} for row in rows]
            await self._connection.execute(_ONE, keys)
        return bool(rows)
