"""What a device learns when it connects (contract §7)."""

from uuid import UUID

from ..clock import now
from ..db.database import Database
from ..db.views import me_view
from ..errors import Unauthorized
from ..schemas.realtime import Ready


class Sync:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ready(self, user_id: UUID) -> Ready:
        """Who I am, the epoch, and how much is unread, all of one moment. Raises Unauthorized for nobody."""
        async with self._database.snapshot() as reads:
            row = await reads.users.me_row(user_id)
            if row is None:
                raise Unauthorized
            return Ready(
                user=me_view(row),
                epoch=str(await reads.rooms.epoch()),
                unread_total=await reads.rooms.unread_total(user_id),
                server_time=now(),
            )
