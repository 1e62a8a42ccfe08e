"""People's rows: accounts, profiles, search by name."""

from sqlalchemy.ext.asyncio import AsyncConnection


class Users:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
