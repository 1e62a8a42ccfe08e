"""A body in parts: all of it, in order, none longer than may be, however it comes."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import Malformed, TooLarge
from src.services import cuts
from src.services.cuts import Body, Cuts

PART = 10


class Written:
    """A part in memory."""

    path = Path("/nowhere")

    def __init__(self) -> None:
        self.data = b""

    @property
    def size(self) -> int:
        return len(self.data)

    async def write(self, chunk: bytes) -> None:
        self.data += chunk


async def cut(pieces: Sequence[bytes], remaining: int, failure: Exception | None = None) -> tuple[list[bytes], Cuts]:
    """The parts of a body that comes in these pieces, and then breaks off if there is a failure."""
    coming = [*pieces]

    async def read(most: int) -> AsyncGenerator[bytes, None]:
        while coming:
            yield coming.pop(0)
        if failure:
            raise failure

    made, parts = Cuts(Body(None, read), remaining), []
    while not made.ended:
        part = Written()
        await made.fill(part)  # type: ignore[arg-type]
        parts.append(part.data)
    return [part for part in parts if part], made


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuts, "PART_BYTES", PART)
        yield


BODIES = st.lists(st.binary(min_size=1, max_size=35), max_size=6)


@given(BODIES, st.integers(0, 50))
async def test_a_body_that_fits_is_there_in_full_parts(pieces: list[bytes], spare: int) -> None:
    body = b"".join(pieces)
    parts, made = await cut(pieces, len(body) + spare)
    assert b"".join(parts) == body
    assert all(len(part) == PART for part in parts[:-1]) and all(len(part) <= PART for part in parts)
    assert made.failure is None


@given(BODIES, st.integers(1, 50))
async def test_a_body_that_does_not_fit_is_refused(pieces: list[bytes], missing: int) -> None:
    body = b"".join(pieces)
    if missing > len(body):
        return
    with pytest.raises(TooLarge):
        await cut(pieces, len(body) - missing)


@given(BODIES)
async def test_what_came_before_it_broke_off_is_there(pieces: list[bytes]) -> None:
    body, failure = b"".join(pieces), Malformed("gone")
    parts, made = await cut(pieces, len(body) + 1, failure)
    assert (b"".join(parts), made.failure) == (body, failure)
