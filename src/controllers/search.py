"""Searching messages over REST (contract §5)."""

from ..errors import NotFound
from ..schemas.common import Page
from ..schemas.search import Hit, MessageSearch
from ..services.search import Search
from ..viewer import Viewer
from .api import get


class SearchController:
    tag = "messages"

    def __init__(self, search: Search) -> None:
        self._search = search

    @get("/search/messages", limit="search", errors=(NotFound,))
    async def search_messages(self, viewer: Viewer, query: MessageSearch) -> Page[Hit]:
        """Messages of my rooms, by their words; the latest first."""
        return await self._search.find(viewer.user_id, query)
