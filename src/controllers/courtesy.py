"""Uploads step back for messages: of all that comes in, a piece at a time, and none while a message is on its way."""

import asyncio
from collections.abc import Callable

from aiohttp import web

LONGEST_SECONDS = 0.02
"""So long a piece waits for messages at most: an upload gets on, however much is said."""
PAUSE_SECONDS = 0.001


class Courtesy:
    """`busy`: is there something under way that goes before uploads?

    Whoever has a piece to work on asks for a `turn` first. Between two of them everybody else is served, so that ten
    uploads cost a message one piece's time and not ten.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._line = asyncio.Lock()

    async def turn(self) -> None:
        """Return when it is this piece's turn, those before it first."""
        async with self._line:
            await asyncio.sleep(0)
            clock = asyncio.get_running_loop().time
            until = clock() + LONGEST_SECONDS
            while self._busy() and clock() < until:  # noqa: ASYNC110 - an event for each message would cost each message
                await asyncio.sleep(PAUSE_SECONDS)


COURTESY = web.AppKey("courtesy", Courtesy)
