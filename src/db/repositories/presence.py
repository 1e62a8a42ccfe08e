"""Who has a socket on which node."""

from sqlalchemy.ext.asyncio import AsyncConnection


class Presence:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
