"""Who has blocked whom."""

from sqlalchemy.ext.asyncio import AsyncConnection


class Blocks:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
