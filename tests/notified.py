"""A device that holds a person's unread notifications: from the list, then from what it hears."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from .cast import PATIENCE, Person, Socket, draft

Note = dict[str, Any]


async def say(person: Person, room_id: str, text: str = "hello", **fields: Any) -> dict[str, Any]:
    """Send a message; the message."""
    body = {"client_id": str(uuid4()), "text": text, **fields}
    message: dict[str, Any] = (await person.post(f"/rooms/{room_id}/messages", body, expect=201))["message"]
    return message


async def listed(person: Person, query: str = "", limit: int = 100) -> list[Note]:
    """All notifications of a person's, page by page."""
    notes: list[Note] = []
    cursor = ""
    while True:
        page = await person.get(f"/notifications?limit={limit}{query}{cursor}")
        notes += page["items"]
        if not page["next_cursor"]:
            return notes
        cursor = f"&cursor={page['next_cursor']}"


async def unread(person: Person) -> list[Note]:
    return await listed(person, "&unread=1")


async def told(person: Person, *kinds: str) -> list[tuple[str, int]]:
    """What is unread, as (kind, count), of all kinds but `friend_*` or of those named; the newest first."""
    notes = [(note["kind"], note["count"]) for note in await unread(person)]
    return [note for note in notes if (note[0] in kinds if kinds else not note[0].startswith("friend"))]


class Bell:
    """A device on `/notifications`. `held`: what is unread, by id; `events`: what came of notifications."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.held: dict[str, Note] = {}
        self.socket: Socket
        self._applied = 0

    async def ring(self) -> "Bell":
        """Connect, then ask what there is: in this order nothing is missed."""
        self.socket = await self.person.connect("/notifications")
        await self.socket.call("nothing_of_that_name")
        self._applied = len(self.socket.events)
        self.held = {note["id"]: note for note in await unread(self.person)}
        return self

    @property
    def events(self) -> list[tuple[str, Any]]:
        names = ("notification_created", "notifications_read")
        return [event for event in self.socket.events if event[0] in names]

    def apply(self) -> dict[str, Note]:
        """Take in what was heard; what is held then."""
        events, self._applied = self.socket.events[self._applied :], len(self.socket.events)
        for name, payload in events:
            if name == "notification_created":
                self.held[payload["id"]] = payload
            elif name == "notifications_read":
                for id in [*self.held] if payload["ids"] is None else payload["ids"]:
                    self.held.pop(id, None)
        return self.held

    async def settles(self) -> dict[str, Note]:
        """Wait until this device holds what the list says; what that is."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    truth = {note["id"]: note for note in await unread(self.person)}
                    if self.apply() == truth:
                        return truth
                    await asyncio.sleep(0.03)
        except TimeoutError:
            raise AssertionError(f"{self.events[-5:]}\nheld: {self.held}\nlisted: {truth}") from None

    async def heard(self, event: str, fits: Callable[[Any], bool] = lambda payload: True) -> Any:
        """The next event of this name that fits."""
        while not fits(payload := await self.socket.heard(event)):
            pass
        return payload

    async def quiet(self, count: int = 0) -> None:
        """Assert that no more than so many events come."""
        await asyncio.sleep(0.5)
        assert len(self.events) <= count, self.events[count:]


__all__ = ["Bell", "Note", "draft", "listed", "say", "told", "unread"]
