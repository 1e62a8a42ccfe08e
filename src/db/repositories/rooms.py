"""Rooms and who is in them."""

from sqlalchemy.ext.asyncio import AsyncConnection


class Rooms:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
