"""A device of somebody's: stays connected, keeps its copies, sends until it knows, as a careful client does."""

import asyncio
import contextlib
import itertools
import random
from typing import Any
from uuid import uuid4

import aiohttp

from .copies import Copies
from .history import Answer, Change, Journal, Send, line_of
from .wire import PATIENCE, Cut, Wire

FIRST_PAUSE, LONGEST_PAUSE = 0.3, 5.0
UNDECIDED = {"unavailable", "rate_limited", "internal", "unknown"}


class Device:
    """One of the devices of one person. `others` are all devices of that person: a retry may take another one."""

    _numbers = itertools.count(1)

    def __init__(self, name: str, user_id: str, token: str, url: str, http: aiohttp.ClientSession, journal: Journal):
        self.name = name
        self.user_id = user_id
        self.others: list[Device] = [self]
        self.copies = Copies(name, user_id, journal)
        self._token = token
        self._url = url
        self._http = http
        self._journal = journal
        self._wire: Wire | None = None
        self._stop = False
        self._away = 0.0
        self._wake = asyncio.Event()

    # Being there

    async def live(self) -> None:
        """Be connected, again and again, and in step, until `stop`."""
        pause = FIRST_PAUSE
        while not self._stop:
            with contextlib.suppress(Cut):
                self.copies.begin()
                self._wire = await Wire.open(self._http, self._url, self._token, self._hear)
                await self.sync()
                pause = FIRST_PAUSE
                await self._keep_in_step(self._wire)
            if self._wire:
                self._wire.cut()
            self._wire = None
            await asyncio.sleep(max(self._away, random.uniform(0.5, 1) * pause))
            self._away, pause = 0, min(2 * pause, LONGEST_PAUSE)

    def stop(self) -> None:
        self._stop = True
        self.cut()

    def cut(self, away: float = 0) -> None:
        """Lose the connection, and be away for so many seconds."""
        self._away = away
        if self._wire:
            self._wire.cut()
        self._wake.set()

    @property
    def settled(self) -> bool:
        return self._wire is not None and not self._wire.ended.is_set() and not self.copies.behind

    async def sync(self) -> None:
        """Ask for what was missed, until nothing more comes. Raises Cut."""
        more = True
        while more:
            held = {room_id: copy.rev for room_id, copy in self.copies.rooms.items()}
            epoch = {"epoch": self.copies.epoch} if self.copies.epoch else {}
            more = self.copies.synced(await self._ask("sync", {"rooms": held, **epoch}))

    async def learn_unread(self) -> None:
        """Ask what the server thinks that this person has not read. Raises Cut."""
        self.copies.take_unread(await self._ask("sync", {"rooms": {}}))

    async def read_back(self) -> None:
        """Page through the whole history, from the end to the first line of each room. Raises Cut."""
        for room_id, copy in self.copies.rooms.items():
            first, before = copy.view["me"]["first_seq"], copy.view["last_seq"] + 1
            while before > first:
                page = await self._rest("GET", f"/rooms/{room_id}/messages?before_seq={before}&limit=100")
                if not page.get("items"):
                    break
                self.copies.page(room_id, page["items"], before)
                before = min(item["seq"] for item in page["items"])

    def _hear(self, name: str, payload: Any) -> None:
        self.copies.hear(name, payload)
        if self.copies.behind:
            self._wake.set()

    async def _keep_in_step(self, wire: Wire) -> None:
        while not wire.ended.is_set():
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 0.5)
            if self.copies.behind and not wire.ended.is_set():
                await self.sync()

    # Asking

    async def _ask(self, event: str, payload: Any) -> Any:
        answer = await self._emit(event, payload)
        if not answer.get("ok"):
            raise Cut(answer)
        return answer

    async def _emit(self, event: str, payload: Any) -> Any:
        if self._wire is None:
            raise Cut("away")
        return (await self._wire.call(event, payload))[0]

    async def _rest(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A REST answer as a socket would give it: with `ok`, or with `error`. Raises Cut."""
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            async with asyncio.timeout(PATIENCE):
                async with self._http.request(method, f"{self._url}/api/v1{path}", json=body, headers=headers) as got:
                    answer = await got.json(content_type=None) if got.status != 204 else {}
                    return answer | {"ok": True} if got.status < 400 else {"ok": False, "error": answer}
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Cut(error) from error

    # Talking

    async def say(self, room_id: str, text: str, *, steady: bool) -> Send:
        """Send a line; unless the answer is known, again by the same id over another door or device."""
        send = Send(room_id, self.user_id, str(uuid4()), text, steady)
        self._journal.sends[send.client_id] = send
        device, socket, pause = self, random.random() < 0.7, FIRST_PAUSE
        while not self._stop:
            await device._attempt(send, socket)
            if send.settled:
                break
            await asyncio.sleep(random.uniform(0.5, 1) * pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            device, socket = random.choice(self.others), random.random() < 0.5
        return send

    async def repeat(self, send: Send, times: int) -> None:
        """Send the same draft again, at once and everywhere."""
        devices = random.choices(self.others, k=times)
        await asyncio.gather(*(device._attempt(send, random.random() < 0.5) for device in devices))

    async def _attempt(self, send: Send, socket: bool) -> None:
        body = {"client_id": send.client_id, "text": send.text}
        wire, turn, repeats = self._wire, 0, bool(send.acks)
        try:
            if not socket:
                answer = await self._rest("POST", f"/rooms/{send.room_id}/messages", body)
            elif wire is None:
                raise Cut("away")
            else:
                answer, turn = await wire.call("send_message", {"room_id": send.room_id, **body})
        except Cut:
            send.answers.append(Answer("unknown"))
            return
        send.answers.append(self._answer(answer)._replace(repeats=repeats))
        if turn and wire and len(send.answers) == 1 and send.acks:
            send.place = wire.name, turn

    def _answer(self, answer: dict[str, Any]) -> Answer:
        if answer["ok"]:
            self.copies.message(answer["message"])
            self._wake.set()
            return Answer("acked", line_of(answer["message"]), replayed=answer["replayed"])
        code = answer["error"].get("code", "unknown")
        return Answer("unknown" if code in UNDECIDED else "refused", code=code)

    async def change(self, room_id: str, event: str, payload: dict[str, Any]) -> None:
        """Edit, delete or react; note what was acknowledged."""
        with contextlib.suppress(Cut):
            answer = await self._emit(event, payload)
            if answer.get("ok"):
                self.copies.message(answer["message"])
                self._journal.changes.append(Change(room_id, line_of(answer["message"])))

    async def read(self, room_id: str, seq: int) -> None:
        with contextlib.suppress(Cut):
            answer = await self._emit("mark_read", {"room_id": room_id, "seq": seq})
            if answer.get("ok"):
                self._journal.note_read(room_id, self.user_id, answer["read_seq"])

    async def rest(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A call whose outcome the system lines will tell; `{}` where it is unknown."""
        with contextlib.suppress(Cut):
            return await self._rest(method, path, body)
        return {}
