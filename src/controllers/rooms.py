"""Rooms over REST (contract §4)."""

from uuid import UUID

from ..errors import Blocked, Conflict, Forbidden, NotFound
from ..schemas.common import Page, PageQuery
from ..schemas.rooms import (
    DirectRoomDraft,
    Invitation,
    LeaveRoom,
    Member,
    MembershipPatch,
    RolePatch,
    Room,
    RoomDraft,
    RoomPatch,
    RoomsQuery,
)
from ..services.groups import Groups
from ..services.leaving import Leaving
from ..services.rooms import Rooms
from ..services.throttle import Throttle
from ..viewer import Viewer
from .api import Answer, delete, get, patch, post


class RoomsController:
    tag = "rooms"

    def __init__(self, rooms: Rooms, groups: Groups, leaving: Leaving, throttle: Throttle) -> None:
        self._rooms = rooms
        self._groups = groups
        self._leaving = leaving
        self._throttle = throttle

    @post(
        "/rooms",
        status=201,
        also={200: "The one room of the two of you."},
        limit="rooms",
        errors=(NotFound, Forbidden, Blocked, Conflict),
    )
    async def open_room(self, viewer: Viewer, body: RoomDraft) -> Answer[Room]:
        """Open the one direct room with somebody, or make a group of friends.

        A direct room may be opened with anybody who has not blocked me; they see it with its first message, and after
        I have left it, it is the same room, empty for me. I am the owner of a group that I make, and its members have
        it at once; `forbidden` if one of them is no friend of mine, `conflict` for more than a group can have.
        """
        if isinstance(body.root, DirectRoomDraft):
            room, made = await self._rooms.open_direct(viewer.user_id, body.root.user_id)
            return Answer(room, status=201 if made else 200)
        return Answer(await self._groups.make(viewer.user_id, body.root))

    @get("/rooms")
    async def list_rooms(self, viewer: Viewer, query: RoomsQuery) -> Page[Room]:
        """My rooms, the newest activity first, each with its last message and what is unread."""
        if query.q:
            await self._throttle.hit("search", str(viewer.user_id))
        return await self._rooms.find(viewer.user_id, query)

    @get("/rooms/{room_id}", errors=(NotFound,))
    async def show_room(self, viewer: Viewer, room_id: UUID) -> Room:
        """A room of mine."""
        return await self._rooms.one(viewer.user_id, room_id)

    @patch("/rooms/{room_id}", limit="messages", errors=(NotFound, Forbidden))
    async def change_room(self, viewer: Viewer, room_id: UUID, body: RoomPatch) -> Room:
        """Rename a group, or pin a message on top of a room; null takes the name or the notice away.

        For the owner and the admins of a group; in a direct room both may pin. A line in the history tells of it.
        """
        return await self._rooms.change(viewer.user_id, room_id, body)

    @patch("/rooms/{room_id}/me", errors=(NotFound,))
    async def change_my_room(self, viewer: Viewer, room_id: UUID, body: MembershipPatch) -> Room:
        """Mute a room, pin it, or give it a name of my own: for me alone."""
        return await self._rooms.change_mine(viewer.user_id, room_id, body)

    @get("/rooms/{room_id}/members", errors=(NotFound,))
    async def list_members(self, viewer: Viewer, room_id: UUID, query: PageQuery) -> Page[Member]:
        """Everybody in a room of mine, who came first first."""
        return await self._rooms.members(viewer.user_id, room_id, query)

    @post("/rooms/{room_id}/members", status=200, limit="invitations", errors=(NotFound, Forbidden, Conflict))
    async def invite(self, viewer: Viewer, room_id: UUID, body: Invitation) -> Room:
        """Add friends of mine to a group; they read from then on.

        Every member may. Who is in already stays as they are. If one of the others is no friend of mine, or the group
        would become too large, nobody is added.
        """
        return await self._groups.invite(viewer.user_id, room_id, body.user_ids)

    @patch("/rooms/{room_id}/members/{user_id}", errors=(NotFound, Forbidden))
    async def give_role(self, viewer: Viewer, room_id: UUID, user_id: UUID, body: RolePatch) -> Room:
        """Give a member of my group a role; to make another the owner makes me an admin."""
        return await self._groups.set_role(viewer.user_id, room_id, user_id, body.role)

    @delete("/rooms/{room_id}/members/{user_id}", errors=(NotFound, Forbidden))
    async def remove_member(self, viewer: Viewer, room_id: UUID, user_id: UUID) -> None:
        """Remove somebody from a group: admins a member, the owner anybody. To remove myself is to leave."""
        await self._leaving.remove(viewer.user_id, room_id, user_id)

    @post("/rooms/{room_id}/leave", status=204, errors=(NotFound,))
    async def leave(self, viewer: Viewer, room_id: UUID, body: LeaveRoom | None) -> None:
        """Leave a group, or take a direct room out of my list until its next message.

        What was said in a direct room is gone for me. `quiet`: no line in the group's history says that I left.
        """
        await self._leaving.leave(viewer.user_id, room_id, quiet=body is not None and body.quiet)
