"""Work to be done after COMMIT, leased by workers."""

from sqlalchemy.ext.asyncio import AsyncConnection


class Outbox:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
