"""Objects that nobody needs any more leave the storage: after the COMMIT that says so, at least once."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from ..db.database import Transaction
from ..db.rows import Row
from ..storage.store import Store

REMOVE_OBJECTS = "remove_objects"
AT_ONCE = 100

Wake = Callable[[], None]
"""Called after a COMMIT that left something to remove."""


class Removals:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def carry_out(self, item: Row) -> None:
        """What an outbox row asks for."""
        await self._store.delete(item.payload["keys"])


async def remove_objects(tx: Transaction, keys: Sequence[str], at: datetime) -> None:
    """Have these objects removed once this transaction has committed."""
    for first in range(0, len(keys), AT_ONCE):
        await tx.outbox.add(REMOVE_OBJECTS, {"keys": [*keys[first : first + AT_ONCE]]}, at)


async def remove_unless_kept(tx: Transaction, keys: Sequence[str], at: datetime, due_at: datetime) -> UUID:
    """Have objects removed then, unless the transaction that makes them somebody's cancels it: by this id.

    Objects are stored after this, so that there is none, ever, of which no row knows.
    """
    return await tx.outbox.add(REMOVE_OBJECTS, {"keys": [*keys]}, at, due_at)
