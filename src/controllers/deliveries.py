"""What became of a message, told to its sender over REST (contract §7)."""

from uuid import UUID

from ..errors import Forbidden, NotFound
from ..schemas.common import Page, PageQuery
from ..schemas.notifications import Delivery
from ..services.deliveries import Deliveries
from ..viewer import Viewer
from .api import get


class DeliveriesController:
    tag = "messages"

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    @get("/messages/{message_id}/delivery", errors=(NotFound, Forbidden))
    async def delivery(self, viewer: Viewer, message_id: UUID, page: PageQuery) -> Page[Delivery]:
        """Who was told of a message of mine by which ways, and why not; the earliest members first."""
        return await self._deliveries.of_message(viewer.user_id, message_id, page)
