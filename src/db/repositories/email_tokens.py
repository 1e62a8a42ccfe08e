"""Single-use tokens that were mailed."""

from sqlalchemy.ext.asyncio import AsyncConnection


class EmailTokens:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
