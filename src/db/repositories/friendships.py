"""Friendships and requests: one row per pair."""

from sqlalchemy.ext.asyncio import AsyncConnection


class Friendships:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
