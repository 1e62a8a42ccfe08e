"""People over REST (contract §3)."""

from uuid import UUID

from ..errors import NotFound
from ..schemas.common import Page
from ..schemas.people import Me, MePatch, PeopleQuery, Profile
from ..services.people import People
from ..viewer import Viewer
from .api import get, patch


class PeopleController:
    tag = "people"

    def __init__(self, people: People) -> None:
        self._people = people

    @get("/users/me")
    async def show_me(self, viewer: Viewer) -> Me:
        """Myself, with what only I see."""
        return await self._people.me(viewer.user_id)

    @patch("/users/me")
    async def change_me(self, viewer: Viewer, body: MePatch) -> Me:
        """Change my nickname, my introduction or my settings; what is left out stays."""
        return await self._people.change_me(viewer.user_id, body)

    @get("/users", limit="search")
    async def find_people(self, viewer: Viewer, query: PeopleQuery) -> Page[Profile]:
        """Other people by nickname.

        `q` finds a part of it, whatever the case, or its Korean initial consonants: `ㅎㄱㄷ` and `홍ㄱ` find 홍길동.
        Without `q`, everybody but me.
        """
        return await self._people.find(viewer.user_id, query)

    @get("/users/{user_id}", errors=(NotFound,))
    async def profile(self, viewer: Viewer, user_id: UUID) -> Profile:
        """Somebody's profile, with how I stand to them."""
        return await self._people.profile(viewer.user_id, user_id)
