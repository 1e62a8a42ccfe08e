"""People over REST (contract §3)."""

from uuid import UUID

from ..errors import NotFound, ReauthenticationRequired, WrongCredentials
from ..schemas.auth import AccountDeletion
from ..schemas.common import Page
from ..schemas.people import Me, MePatch, PeopleQuery, Profile
from ..services.deletion import Deletion
from ..services.people import People
from ..viewer import Viewer
from .api import Answer, delete, get, patch
from .handover import Handover


class PeopleController:
    tag = "people"

    def __init__(self, people: People, deletion: Deletion, handover: Handover) -> None:
        self._people = people
        self._deletion = deletion
        self._handover = handover

    @get("/users/me")
    async def show_me(self, viewer: Viewer) -> Me:
        """Myself, with what only I see."""
        return await self._people.me(viewer.user_id)

    @patch("/users/me")
    async def change_me(self, viewer: Viewer, body: MePatch) -> Me:
        """Change my nickname, my introduction or my settings; what is left out stays."""
        return await self._people.change_me(viewer.user_id, body)

    @delete("/users/me", errors=(WrongCredentials, ReauthenticationRequired))
    async def delete_me(self, viewer: Viewer, body: AccountDeletion | None) -> Answer[None]:
        """Delete my account, for good. `password` is needed where one is set; else I must have just signed in.

        Every session ends, I leave all groups, and my e-mail address can be used to sign up again. What I have written
        stays, its `sender` without a name; in direct rooms with me sending answers `gone`.
        """
        await self._deletion.delete(viewer, body)
        return Answer(None, cookies=[self._handover.no_cookie()])

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
