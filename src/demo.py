"""`chatty demo`: people who know each other and have talked, to look at and to log in as."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from itertools import pairwise
from uuid import NAMESPACE_URL, UUID, uuid5

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from .app import Parts, build
from .config import Settings
from .db import migrate
from .errors import Conflict, EmailTaken
from .schemas.auth import Login, Register
from .schemas.messages import MessageDraft
from .viewer import ClientInfo

PASSWORD = "demo-chatty-2026"  # noqa: S105 - shown to whoever runs the demo
HERE = ClientInfo(address="127.0.0.1", user_agent="chatty demo")

PEOPLE = (
    ("hong", "홍길동"),
    ("kim", "김서연"),
    ("lee", "이도윤"),
    ("park", "박하은"),
    ("choi", "최지우"),
    ("anna", "Anna Berg"),
    ("boris", "Boris Novak"),
    ("claire", "Claire Dubois"),
)
TALKS = {
    ("hong", "kim"): (
        "오늘 점심 뭐 먹을까요?",
        "김치찌개 어때요? 회사 앞에 새로 생긴 집이 맛있대요 🙂",
        "좋아요! 12시에 로비에서 봐요.",
        "네, 이따 봬요~",
    ),
    ("lee", "park"): ("회의 자료 올려 두었어요.", "확인했습니다. 3쪽 숫자만 다시 봐 주세요.", "앗, 바로 고칠게요!"),
    ("anna", "boris"): (
        "Did the release go out?",
        "Ten minutes ago. Nothing on fire so far.",
        "Then let's have lunch before something is.",
    ),
    ("hong", "anna"): (
        "안녕하세요, 길동입니다. 반갑습니다!",
        "Hi! My Korean is slow: 반갑습니다 👋",
        "아주 잘하시는데요?",
    ),
}
ASKED = (("choi", "hong"), ("claire", "hong"))


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
            steps = len(PEOPLE) + len(PEOPLE) - 1 + len(TALKS) + len(ASKED)
            task = progress.add_task("Inviting people", total=steps)
            await Demo(parts, lambda: progress.advance(task)).run()
    finally:
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
        for one, other in pairwise(name for name, _ in PEOPLE):
            await self._befriend(one, other)
            self._step()
        for pair, lines in TALKS.items():
            await self._talk(pair, lines)
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

    async def _befriend(self, one: str, other: str) -> None:
        """Both ask: whoever comes second makes it a friendship."""
        await _unless_done(self._parts.friends.request(self._ids[one], self._ids[other]))
        await _unless_done(self._parts.friends.request(self._ids[other], self._ids[one]))

    async def _talk(self, pair: tuple[str, str], lines: tuple[str, ...]) -> None:
        room, _ = await self._parts.rooms.open_direct(*(self._ids[name] for name in pair))
        for number, text in enumerate(lines):
            author = self._ids[pair[number % 2]]
            # A client_id made of the place of the line: a second run replays, and stores nothing.
            draft = MessageDraft(client_id=uuid5(NAMESPACE_URL, f"chatty-demo/{pair}/{number}"), text=text)
            await self._parts.sending.send(author, room.id, draft)


async def _unless_done(work: Awaitable[object]) -> None:
    with contextlib.suppress(Conflict):
        await work


def _email(name: str) -> str:
    return f"{name}@demo.example.com"
