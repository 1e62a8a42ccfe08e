"""`chatty demo`: people who know each other and have talked, to look at and to log in as."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from .clock import set_back
from .config import Settings
from .db import migrate
from .demo_talks import ASKED, FRIENDS, PEOPLE, TALKS, Line, Talk
from .errors import Conflict, EmailTaken
from .parts import Parts, build
from .schemas.auth import Login, Register
from .schemas.drafts import MessageDraft
from .schemas.messages import Message
from .schemas.rooms import GroupDraft, RoomPatch, RoomsQuery
from .viewer import ClientInfo

PASSWORD = "demo-chatty-2026"  # noqa: S105 - shown to whoever runs the demo
MINUTES_APART = timedelta(minutes=4)
END = 2**53 - 1
HERE = ClientInfo(address="127.0.0.1", user_agent="chatty demo")


def fill(settings: Settings) -> None:
    """Migrate, then add what is not there yet; running it again adds nothing. Prints the logins."""
    migrate.upgrade(settings.database_url)
    asyncio.run(_fill(settings.model_copy(update={"rate_limits": "off"})))
    table = Table("e-mail", "password", "nickname", title="Log in as")
    for name, nickname in PEOPLE:
        table.add_row(_email(name), PASSWORD, nickname)
    Console().print(table)


async def _fill(settings: Settings) -> None:
    parts = build(settings)
    try:
        with Progress() as progress:
            steps = len(PEOPLE) + len(FRIENDS) + len(TALKS) + len(ASKED)
            task = progress.add_task("Inviting people", total=steps)
            await Demo(parts, lambda: progress.advance(task)).run()
    finally:
        await parts.sending.close()
        await parts.database.close()


class Demo:
    def __init__(self, parts: Parts, step: Callable[[], None]) -> None:
        self._parts = parts
        self._step = step
        self._ids: dict[str, UUID] = {}

    async def run(self) -> None:
        for name, nickname in PEOPLE:
            self._ids[name] = await self._join(name, nickname)
            self._step()
        for one, other in FRIENDS:
            await _unless_done(self._parts.friends.request(self._ids[one], self._ids[other]))
            await _unless_done(self._parts.friends.request(self._ids[other], self._ids[one]))  # the second makes it one
            self._step()
        for talk in TALKS:
            await self._talk(talk)
            self._step()
        for one, other in ASKED:
            await _unless_done(self._parts.friends.request(self._ids[one], self._ids[other]))
            self._step()

    async def _join(self, name: str, nickname: str) -> UUID:
        wanted = Register(email=_email(name), password=PASSWORD, nickname=nickname, session="token")
        try:
            started = await self._parts.accounts.register(wanted, HERE)
        except EmailTaken:
            started = await self._parts.accounts.login(Login(email=_email(name), password=PASSWORD), HERE)
        return started.session.user.id

    async def _talk(self, talk: Talk) -> None:
        with set_back(talk.ago):
            room_id = await self._room(talk)
        said: list[Message] = []
        for place, line in enumerate(talk.lines):
            with set_back(talk.ago - (place + 1) * MINUTES_APART):
                said.append(await self._say(talk, room_id, place, line, said))
        with set_back(talk.ago - (len(talk.lines) + 1) * MINUTES_APART):
            await self._end(talk, room_id, said)

    async def _end(self, talk: Talk, room_id: UUID, said: list[Message]) -> None:
        if talk.notice is not None:
            patch = RoomPatch(notice_id=said[talk.notice].id)
            await self._parts.rooms.change(self._ids[talk.members[0]], room_id, patch)
        for name in talk.read_by:
            await self._parts.cursors.mark_read(self._ids[name], room_id, END)

    async def _room(self, talk: Talk) -> UUID:
        """The room of a talk: the pair's one, or the group of these people that there is already."""
        first, *others = (self._ids[name] for name in talk.members)
        if talk.direct:
            return (await self._parts.rooms.open_direct(first, others[0]))[0].id
        for room in (await self._parts.rooms.find(first, RoomsQuery())).items:
            if room.kind == "group" and {member.user.id for member in room.members} == {first, *others}:
                return room.id
        return (await self._parts.groups.make(first, GroupDraft(kind="group", name=talk.name, member_ids=others))).id

    async def _say(self, talk: Talk, room_id: UUID, place: int, line: Line, said: list[Message]) -> Message:
        # A client_id made of the place of the line: a second run replays, and stores nothing.
        client_id = uuid5(NAMESPACE_URL, f"chatty-demo/{talk.members}/{place}")
        draft = MessageDraft(
            client_id=client_id,
            text=line.text,
            reply_to=None if line.reply_to is None else said[line.reply_to].id,
            mentions=[self._ids[name] for name in line.mentions],
        )
        message = (await self._parts.sending.send(self._ids[line.author], room_id, draft)).message
        for name, emoji in line.reactions:
            await self._parts.reactions.react(self._ids[name], message.id, emoji, on=True)
        return message


async def _unless_done(work: Awaitable[object]) -> None:
    with contextlib.suppress(Conflict):
        await work


def _email(name: str) -> str:
    return f"{name}@demo.example.com"
