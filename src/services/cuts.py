"""A body that is taken as it is, cut into parts that are kept one by one."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from ..errors import Malformed, TooLarge
from ..file_settings import MIB
from ..storage.staging import Part

PART_BYTES = 8 * MIB


@dataclass(frozen=True, slots=True)
class Body:
    """What somebody sends, not read yet. `announced`: how many bytes they say it has, if they do.

    `pieces`: reads on, from where the last call was closed; raises Malformed where it breaks off, TooLarge for more
    bytes than it was told.
    """

    announced: int | None
    pieces: Callable[[int], AsyncGenerator[bytes, None]]


class Cuts:
    """`remaining`: how many bytes may come. `ended`: nothing more does; `failure`: since it broke off."""

    def __init__(self, body: Body, remaining: int) -> None:
        self._body = body
        self._remaining = remaining
        self._left = b""
        self.ended = False
        self.failure: Malformed | None = None

    async def fill(self, part: Part) -> None:
        """Write the next PART_BYTES into a new part, or what there is until the end. Raises TooLarge, StorageFull.

        Whether more comes than may is known before the last one is full. Between two parts nothing is being read, and
        others have their turn.
        """
        most = min(PART_BYTES, self._remaining)
        left, self._left = self._left, b""
        await self._write(part, left, most)
        async with aclosing(self._body.pieces(self._remaining)) as pieces:
            while not self.ended and (part.size < most or most == self._remaining):
                await self._write(part, await self._next(pieces), most)
        self._remaining -= part.size

    async def _write(self, part: Part, piece: bytes, most: int) -> None:
        fits = piece[: most - part.size]
        if fits:
            await part.write(fits)
        self._left = piece[len(fits) :]
        if self._left and most == self._remaining:
            raise TooLarge("This is more than was announced.")

    async def _next(self, pieces: AsyncGenerator[bytes, None]) -> bytes:
        piece = b""
        try:
            piece = await anext(pieces, b"")
        except Malformed as failure:
            self.failure = failure
        self.ended = not piece
        return piece
