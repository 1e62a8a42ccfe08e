"""Friends and blocks over REST (contract §3)."""

from uuid import UUID

from ..errors import Blocked, Conflict, NotFound
from ..schemas.common import Page, PageQuery
from ..schemas.people import (
    AliasPatch,
    Block,
    Friend,
    FriendRequest,
    FriendRequestDraft,
    FriendRequestOutcome,
    FriendRequestsQuery,
)
from ..services.blocks import Blocks
from ..services.friends import Friends
from ..viewer import Viewer
from .api import Answer, delete, get, patch, post, put


class FriendsController:
    tag = "friends"

    def __init__(self, friends: Friends) -> None:
        self._friends = friends

    @get("/friends")
    async def list_friends(self, viewer: Viewer, query: PageQuery) -> Page[Friend]:
        """My friends by nickname, with who is online."""
        return await self._friends.list_friends(viewer.user_id, query)

    @get("/friends/requests")
    async def list_requests(self, viewer: Viewer, query: FriendRequestsQuery) -> Page[FriendRequest]:
        """Requests that wait for my answer, or mine that wait for theirs; the newest first."""
        return await self._friends.list_requests(viewer.user_id, query)

    @post(
        "/friends/requests",
        status=201,
        also={200: "They had asked first: you are friends now."},
        limit="friend_requests",
        errors=(NotFound, Blocked, Conflict),
    )
    async def request(self, viewer: Viewer, body: FriendRequestDraft) -> Answer[FriendRequestOutcome]:
        """Ask somebody to be a friend. Asking again changes nothing; `conflict` if you are friends already."""
        outcome = await self._friends.request(viewer.user_id, body.user_id)
        return Answer(outcome, status=200 if outcome.status == "friends" else 201)

    @post("/friends/requests/{user_id}/accept", errors=(NotFound,))
    async def accept(self, viewer: Viewer, user_id: UUID) -> None:
        """Accept somebody's request."""
        await self._friends.accept(viewer.user_id, user_id)

    @post("/friends/requests/{user_id}/decline", errors=(NotFound,))
    async def decline(self, viewer: Viewer, user_id: UUID) -> None:
        """Decline somebody's request."""
        await self._friends.decline(viewer.user_id, user_id)

    @delete("/friends/requests/{user_id}", errors=(NotFound,))
    async def withdraw(self, viewer: Viewer, user_id: UUID) -> None:
        """Take back my own request."""
        await self._friends.withdraw(viewer.user_id, user_id)

    @patch("/friends/{user_id}", errors=(NotFound,))
    async def set_alias(self, viewer: Viewer, user_id: UUID, body: AliasPatch) -> Friend:
        """Give a friend a name that only I see; null takes it away."""
        return await self._friends.set_alias(viewer.user_id, user_id, body.alias)

    @delete("/friends/{user_id}", errors=(NotFound,))
    async def unfriend(self, viewer: Viewer, user_id: UUID) -> None:
        """End a friendship."""
        await self._friends.unfriend(viewer.user_id, user_id)


class BlocksController:
    tag = "blocks"

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks

    @get("/blocks")
    async def list_blocks(self, viewer: Viewer, query: PageQuery) -> Page[Block]:
        """Whom I have blocked, the newest first."""
        return await self._blocks.list_blocks(viewer.user_id, query)

    @put("/blocks/{user_id}", errors=(NotFound,))
    async def block(self, viewer: Viewer, user_id: UUID) -> None:
        """Block somebody, both ways. Nobody is told; a friendship or a request between us ends."""
        await self._blocks.block(viewer.user_id, user_id)

    @delete("/blocks/{user_id}", errors=(NotFound,))
    async def unblock(self, viewer: Viewer, user_id: UUID) -> None:
        """Take a block back; what it ended stays ended."""
        await self._blocks.unblock(viewer.user_id, user_id)
