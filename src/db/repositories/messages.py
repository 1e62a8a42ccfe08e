"""The lines of rooms."""

from sqlalchemy.ext.asyncio import AsyncConnection


class Messages:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
