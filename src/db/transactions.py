"""A transaction: the repositories on one connection, and what its COMMIT will publish."""

from collections.abc import Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from ..events import Event
from .repositories import Repositories

Publish = Callable[[Sequence[Event]], None]


class Transaction(Repositories):
    """The repositories on one connection, and the events that its COMMIT will publish."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
        self.announced: list[Event] = []

    def announce(self, event: Event) -> None:
        """Say that `event` has happened, once this transaction commits; to nobody if nobody hears it."""
        self.announced.append(event)
