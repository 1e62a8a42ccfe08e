"""Kills of a real `chatty serve` while digests go out: everybody gets each, nobody more than one more for each kill.

`.venv/bin/python -m tests.digest_kills --kills 50 --database sqlite --seed 7`
"""

import asyncio
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from src.clock import now
from src.config import Settings
from src.db.database import Database
from src.db.ids import new_id
from src.db.models import OutboxItem
from src.services.digests import TOGETHER, UNNOTED
from src.services.notices import DIGEST, digest_key, digest_of

from .delivery.command import main
from .delivery.stage import Stage

PEOPLE = 300
MOST_KILLS = 3
SETTLE_SECONDS = 60.0
SETTINGS = {
    "CHATTY_NOTIFICATIONS__EMAIL_AFTER_MINUTES": "0",
    "CHATTY_NOTIFICATIONS__EMAIL_EVERY_MINUTES": "0",
    "CHATTY_NOTIFICATIONS__PUSH_AFTER_SECONDS": "600",
}
_MESSAGE_ID = re.compile(rb"\r\nMessage-ID: (\S+)")


class Sink(asyncio.Protocol):
    """One connection to an SMTP server that takes everything. `got`: recipient and Message-ID of each mail."""

    def __init__(self, got: list[tuple[bytes, bytes]]) -> None:
        self.got = got
        self._buffer, self._in_data, self._to = b"", False, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            said, found, rest = self._buffer.partition(b"\r\n.\r\n" if self._in_data else b"\r\n")
            if not found:
                return
            self._buffer = rest
            self._hear(said)

    def _hear(self, said: bytes) -> None:
        answer, verb = b"250 OK", said[:4].upper()
        if self._in_data:
            self._in_data = False
            found = _MESSAGE_ID.search(b"\r\n" + said)
            self.got.append((self._to, found[1] if found else b""))
        elif verb == b"RCPT":
            self._to = said[9 : said.index(b">")]
        elif verb == b"DATA":
            self._in_data, answer = True, b"354 go on"
        self._transport.write(answer + b"\r\n")


class Post:
    """People to whom there is something to be told, in the database of a service, and what they got."""

    def __init__(self, on: Stage, got: list[tuple[bytes, bytes]]) -> None:
        self.on, self.got = on, got
        url = Settings(database_url=on.database_url, _env_file=None).database_url
        self.database = Database(url, lambda events: None)
        self.people: list[UUID] = []

    async def join(self) -> None:
        async with self.database.transaction() as tx:
            for number in range(PEOPLE + 1):
                user_id, email = new_id(), f"p{number}@example.com"
                await tx.users.add(
                    user_id, email=email, email_key=email, password_hash=None, nickname=f"P{number}", language="en",
                    moment=now(),
                )  # fmt: skip
                await tx.users.verify_email(user_id, email, now())
                self.people.append(user_id)

    async def tell(self) -> None:
        """Somebody asks everybody to be friends."""
        asking, *others = self.people
        at = now()
        rows = [
            {"id": new_id(), "user_id": each, "kind": "friend_request", "actor_id": asking, "created_at": at}
            for each in others
        ]
        async with self.database.transaction() as tx:
            await tx.notifications.add(rows)
            await tx.outbox.add_each(DIGEST, [(digest_key(each), digest_of(each)) for each in others], at, at)

    async def hurry(self) -> None:
        """Let leases be over."""
        async with self.database.transaction() as tx:
            await tx._connection.execute(update(OutboxItem).values(due_at=now()))

    async def left(self) -> int:
        async with self.database.snapshot() as reads:
            return int(await reads._connection.scalar(select(func.count()).select_from(OutboxItem)) or 0)


async def campaign(on: Stage, kills: int, seed: int) -> Counter[str]:
    """Kill so often, and look; what was done. Raises AssertionError for a promise that was broken."""
    dice, counts = random.Random(seed), Counter[str]()
    got: list[tuple[bytes, bytes]] = []
    server = await asyncio.get_running_loop().create_server(lambda: Sink(got), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    on.service.environment.update(SETTINGS | {"CHATTY_SMTP_URL": f"smtp://127.0.0.1:{port}"})
    await on.service.start()
    post = Post(on, got)
    await post.join()
    while counts["kills"] < kills:
        got.clear()
        await post.tell()
        round_kills = min(dice.randint(1, MOST_KILLS), kills - counts["kills"])
        for _ in range(round_kills):
            enough = dice.randint(len(got) + 1, PEOPLE) if len(got) < PEOPLE else len(got)
            await _until(lambda enough=enough: _is(len(got) >= enough), "no more mails come")
            await asyncio.sleep(dice.choice([0, 0, 0.001, 0.005]))
            on.service.kill()
            counts["left_in_work"] += await post.left()
            await post.hurry()
            await on.service.start()
        counts["kills"] += round_kills
        await _until(lambda: _none(post), "the outbox is never empty")
        _inspect(got, round_kills, counts)
    await post.database.close()
    server.close()
    log = on.service.log.read_text()
    assert not log.count("Traceback") + log.count('"exception"'), log[-3000:]
    return counts


def _inspect(got: list[tuple[bytes, bytes]], kills: int, counts: Counter[str]) -> None:
    mails = Counter(to for to, _ in got)
    assert len(mails) == PEOPLE, f"{PEOPLE - len(mails)} people got nothing"
    assert max(mails.values()) <= 1 + kills
    repeated = mails.total() - PEOPLE
    assert repeated <= UNNOTED * TOGETHER * kills, f"{repeated} mails went out once more"
    assert len(set(got)) == PEOPLE, "a mail that goes out once more has its Message-ID"
    counts["mails"] += mails.total()
    counts["repeated"] += repeated


async def _is(so: bool) -> bool:
    return so


async def _none(post: Post) -> bool:
    return await post.left() == 0


async def _until(probe: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not await probe():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    sys.exit(main("tests.digest_kills", "Kill while digests go out.", campaign))
