"""Sessions: one row per sign-in."""

from sqlalchemy.ext.asyncio import AsyncConnection


class Sessions:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
