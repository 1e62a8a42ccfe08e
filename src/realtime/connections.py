"""Who is connected: one `Connection` per transport, found by person and by session."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from ..errors import Unauthorized
from ..viewer import Viewer
from .frames import Frame, Joined
from .packets import disconnect_frame, event_frame
from .transport import Transport

WARNING_SECONDS: Final = 60
REMEMBER_ENDED_SECONDS: Final = 60
EXPIRY_NAMESPACE: Final = "/chat"
NEVER: Final = float("inf")


class Connection:
    """What is known of one transport: who it is, and which namespaces are open.

    `viewer` is None until the first namespace opens, and again when the last one has been left. `deadline` is the loop
    time at which a connection without a namespace ends; `expires` the wall clock's at which its token does.
    """

    __slots__ = (
        "_held",
        "_relief",
        "_warn_at",
        "address",
        "deadline",
        "expires",
        "id",
        "malformed",
        "namespaces",
        "skip",
        "transport",
        "underway",
        "viewer",
    )  # fmt: skip

    def __init__(self, transport: Transport, id: str, address: str, deadline: float) -> None:
        self.transport = transport
        self.id = id
        self.address = address
        self.deadline = deadline
        self.viewer: Viewer | None = None
        self.namespaces: tuple[str, ...] = ()
        self.expires = self._warn_at = NEVER
        self.malformed = self.skip = self.underway = 0
        self._relief: asyncio.Future[None] | None = None
        self._held: dict[str, list[Frame]] | None = None

    def hold(self, namespace: str) -> None:
        """Open `namespace`, keeping broadcasts back until `release`: the greeting is the first event that it hears."""
        self._held = {**(self._held or {}), namespace: []}
        self.namespaces = (*self.namespaces, namespace)

    def greeting(self, namespace: str) -> bool:
        return bool(self._held) and namespace in (self._held or ())

    def release(self, namespace: str) -> None:
        """The greeting is out: what was broadcast meanwhile follows."""
        for frame in (self._held or {}).pop(namespace, ()):
            self.transport.push(frame)
        self._held = self._held or None

    def leave(self, namespace: str) -> None:
        self.namespaces = tuple(name for name in self.namespaces if name != namespace)
        if self._held:
            self._held.pop(namespace, None)

    def deliver(self, namespace: str, frame: Frame) -> None:
        """Send a broadcast, if `namespace` is open here."""
        if namespace not in self.namespaces:
            return
        if self._held is None or (held := self._held.get(namespace)) is None:
            self.transport.push(frame)
        elif len(held) < self.transport.server.limits.queue_frames:
            held.append(frame)
        else:
            self.transport.end()

    def begin_event(self) -> None:
        """One event more is under way, unacknowledged, while the next ones are taken."""
        self.underway += 1

    def end_event(self) -> None:
        self.underway -= 1
        if self._relief and not self._relief.done():
            self._relief.set_result(None)

    async def event_ended(self) -> None:
        """Return when one of the events under way has ended."""
        self._relief = asyncio.get_running_loop().create_future()
        await self._relief

    def kick(self) -> None:
        """Close every namespace, then the transport: the client is told, and cannot stay."""
        self.transport.kick(*map(disconnect_frame, self.namespaces))

    def adopt(self, viewer: Viewer) -> None:
        """Be `viewer` from now on, until their token expires, with a warning before: once for each token."""
        self.viewer = viewer
        self.expires = viewer.expires_at.timestamp()
        self._warn_at = self.expires - min(WARNING_SECONDS, (self.expires - time.time()) / 2)

    def extend(self, viewer: Viewer) -> None:
        """Live on with a newer token of the same session. Raises Unauthorized for anybody else's."""
        mine = self.viewer
        if mine is None or (mine.user_id, mine.session_id) != (viewer.user_id, viewer.session_id):
            raise Unauthorized("This token is of another session; open a connection of its own for it.")
        if viewer.expires_at > mine.expires_at:
            self.adopt(viewer)

    @property
    def expired(self) -> bool:
        return time.time() >= self.expires

    def sweep(self, loop_time: float, wall_time: float) -> None:
        """Called now and then: end what never said who it is, warn of the token's end, and act on it."""
        if not self.namespaces and loop_time >= self.deadline:
            self.transport.end()
        elif wall_time >= self.expires:
            self.kick()
        elif wall_time >= self._warn_at and EXPIRY_NAMESPACE in self.namespaces:
            self._warn_at = NEVER
            left = b'{"in_ms":%d}' % ((self.expires - wall_time) * 1000)
            self.deliver(EXPIRY_NAMESPACE, event_frame(EXPIRY_NAMESPACE, "session_expiring", left))


class Letter(NamedTuple):
    """A frame for many. `origin`: the connection that does not get it, because it has the acknowledgement."""

    frame: Frame
    origin: str | None = None

    def to(self, user_id: UUID) -> "Letter":
        """What this person gets."""
        return self


class FormLetter(NamedTuple):
    """The same, where everybody gets a frame of their own, which `write` makes."""

    write: Callable[[UUID], Frame]
    origin: str | None = None

    def to(self, user_id: UUID) -> Letter:
        """What this person gets."""
        return Letter(self.write(user_id), self.origin)


class Connections:
    """All signed-in connections of this process."""

    def __init__(self) -> None:
        self._of_user: dict[UUID, tuple[Connection, ...]] = {}
        self._of_session: dict[UUID, tuple[Connection, ...]] = {}
        self._ended: OrderedDict[UUID, float] = OrderedDict()  # the first to be forgotten first

    def __len__(self) -> int:
        return sum(map(len, self._of_user.values()))

    def of_user(self, user_id: UUID) -> tuple[Connection, ...]:
        return self._of_user.get(user_id, ())

    def people(self) -> frozenset[UUID]:
        """Who has a connection here."""
        return frozenset(self._of_user)

    def sessions(self) -> frozenset[UUID]:
        """Sessions that have a connection here; ask the database now and then which of them still live."""
        return frozenset(self._of_session)

    def send(self, user_ids: Iterable[UUID], namespace: str, letters: Sequence[Letter | FormLetter]) -> None:
        """Send frames, in their order, to every connection of these people that has `namespace` open.

        What goes to everybody is joined once, so that many frames cost each client one write. What each person gets
        for themselves is made once for all their connections, and for nobody who has none.
        """
        alike = [letter for letter in letters if isinstance(letter, Letter)]
        if len(alike) == len(letters):
            _deliver(alike, namespace, (each for user_id in user_ids for each in self._of_user.get(user_id, ())))
            return
        for user_id in user_ids:
            if here := self._of_user.get(user_id):
                _deliver([letter.to(user_id) for letter in letters], namespace, here)

    def close_session(self, session_id: UUID) -> None:
        """The session has ended: so do its connections, also one that is just being admitted."""
        self._note_ended(session_id)
        for connection in self._of_session.get(session_id, ()):
            connection.kick()

    def bind(self, connection: Connection, viewer: Viewer, asked_at: float) -> None:
        """`connection` is `viewer`'s. Raises Unauthorized if the session ended since `asked_at` (monotonic seconds)."""
        if self._ended.get(viewer.session_id, 0) >= asked_at:
            raise Unauthorized("This session has ended.")
        if connection.viewer is not None:
            connection.extend(viewer)
            return
        connection.adopt(viewer)
        for index, key in ((self._of_user, viewer.user_id), (self._of_session, viewer.session_id)):
            index[key] = (*index.get(key, ()), connection)

    def unbind(self, connection: Connection) -> None:
        """`connection` is nobody's any more."""
        viewer, connection.viewer = connection.viewer, None
        connection.expires = NEVER
        if viewer is None:
            return
        for index, key in ((self._of_user, viewer.user_id), (self._of_session, viewer.session_id)):
            rest = tuple(other for other in index.get(key, ()) if other is not connection)
            if rest:
                index[key] = rest
            else:
                index.pop(key, None)

    def _note_ended(self, session_id: UUID) -> None:
        now = time.monotonic()
        while self._ended and now - next(iter(self._ended.values())) >= REMEMBER_ENDED_SECONDS:
            self._ended.popitem(last=False)
        self._ended[session_id] = now
        self._ended.move_to_end(session_id)


def _deliver(letters: Sequence[Letter], namespace: str, connections: Iterable[Connection]) -> None:
    everything = letters[0].frame if len(letters) == 1 else Joined([letter.frame for letter in letters])
    origins = {letter.origin for letter in letters}
    for connection in connections:
        if connection.id not in origins:
            connection.deliver(namespace, everything)
        elif rest := [letter.frame for letter in letters if letter.origin != connection.id]:
            connection.deliver(namespace, Joined(rest))
