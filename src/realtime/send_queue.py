"""What a client has not taken yet: a bounded queue in front of one WebSocket or of long-polling."""

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from .frames import Frame
from .limits import Limits

CHUNK_BYTES = 64 * 1024


class SendQueue:
    """Frames on their way to one client.

    A WebSocket that can take a frame gets it at once, without a task: uvloop joins what is written in one turn of the
    loop into one system call. While the client is slow, or polls, frames wait here. `overflow` is called when more
    waits than `Limits` allows.
    """

    __slots__ = ("_arrived", "_bytes", "_flushing", "_frames", "_limits", "_overflow", "_protocol", "_tcp", "_writer")

    def __init__(self, limits: Limits, overflow: Callable[[], None]) -> None:
        self._limits = limits
        self._overflow = overflow
        self._frames: list[Frame] = []
        self._bytes = 0
        self._tcp: asyncio.Transport | None = None
        self._protocol: web.RequestHandler | None = None
        self._writer: AbstractStreamWriter | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._arrived: asyncio.Future[None] | None = None

    def attach(self, request: web.Request, writer: AbstractStreamWriter) -> None:
        """From now on frames go to the WebSocket that `request` became, those that wait first."""
        self._tcp, self._protocol, self._writer = request.transport, request.protocol, writer
        if self._frames:
            self._flush_later()

    def push(self, frame: Frame) -> None:
        """Send `frame` now if the client can take it, else keep it."""
        tcp = self._tcp
        if tcp is None or self._frames or self._protocol.writing_paused:  # type: ignore[union-attr]
            self._keep(frame)
        elif not tcp.is_closing():
            tcp.write(frame.wire)

    def wake(self) -> None:
        """Let a waiting poll return, with whatever there is."""
        if self._arrived and not self._arrived.done():
            self._arrived.set_result(None)

    async def wait(self) -> None:
        """Return when something waits, or at `wake`."""
        if not self._frames:
            self._arrived = asyncio.get_running_loop().create_future()
            try:
                await self._arrived
            finally:
                self._arrived = None

    @property
    def polled(self) -> bool:
        return self._arrived is not None

    def take(self) -> list[Frame]:
        """All that waits, for one long-polling response."""
        frames, self._frames, self._bytes = self._frames, [], 0
        return frames

    def close(self) -> None:
        """Forget what waits and let everyone go."""
        self.take()
        self.wake()
        if self._flushing:
            self._flushing.cancel()

    def _keep(self, frame: Frame) -> None:
        size = self._size(frame)
        if self._bytes + size > self._limits.queue_bytes or len(self._frames) >= self._limits.queue_frames:
            self._overflow()
            return
        self._frames.append(frame)
        self._bytes += size
        if self._tcp:
            self._flush_later()
        else:
            self.wake()

    def _size(self, frame: Frame) -> int:
        """What a frame counts. A large one, the answer to a `sync`, has a place even so, and leaves one for another."""
        return min(len(frame.wire), self._limits.queue_bytes // 2)

    def _flush_later(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._frames and self._tcp and self._writer:
                await self._writer.drain()
                if self._tcp.is_closing():
                    return
                self._tcp.write(self._chunk())
        except ConnectionError:
            return
        finally:
            self._flushing = None

    def _chunk(self) -> bytes:
        """The next frames, joined: at least one, then as many as fit, so that a slow client's memory stays bounded."""
        count = size = 0
        for frame in self._frames:
            if count and size + len(frame.wire) > CHUNK_BYTES:
                break
            count, size = count + 1, size + len(frame.wire)
        chunk = b"".join(frame.wire for frame in self._frames[:count])
        self._bytes -= sum(map(self._size, self._frames[:count]))
        del self._frames[:count]
        return chunk
