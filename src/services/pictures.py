"""Profile pictures: a square in three sizes, under a key that nobody can guess and that changes with the picture."""

import re
import secrets
from collections.abc import Callable
from uuid import UUID

import structlog

from ..clock import now
from ..db.database import Database, Transaction
from ..db.rows import Row
from ..db.views import user_view
from ..errors import NotFound, Unauthorized, Unavailable
from ..schemas.people import PICTURE_SIZES, User
from ..storage.download import Download
from ..storage.received import Receive, Received
from ..storage.store import ObjectMissing, Store
from .incoming import Incoming
from .keeping import Keeping
from .people import tell_of
from .removals import remove_objects

log = structlog.get_logger("chatty.files")

_KEY = re.compile(r"[0-9a-f]{32}")


class HasPicture(Exception):
    """They have one: it stays."""


class Pictures:
    """`wake`: called after a COMMIT that left the outbox a picture to remove."""

    def __init__(
        self, database: Database, store: Store, incoming: Incoming, keeping: Keeping, wake: Callable[[], None]
    ) -> None:
        self._database = database
        self._store = store
        self._incoming = incoming
        self._keeping = keeping
        self._wake = wake

    async def put(self, user_id: UUID, receive: Receive) -> User:
        """Take a picture of mine, instead of the one that I had, and tell those who see it.

        Raises what `receive` and `Incoming.profile_picture` raise; Unauthorized if the account is gone, StorageFull,
        Unavailable.
        """
        async with receive() as received:
            return await self._take(user_id, received[0])

    async def put_first(self, user_id: UUID, received: Received, work_id: UUID) -> None:
        """The same for somebody who has none; with the COMMIT, this work of the outbox is done.

        So whoever takes the picture away again does not get it a second time. Raises HasPicture, and what `put` raises.
        """
        await self._take(user_id, received, work_id)

    async def remove(self, user_id: UUID) -> User:
        """Have no picture, and tell those who saw it, if there was one. Raises Unauthorized if the account is gone."""
        async with self._database.transaction() as tx:
            row = await _locked(tx, user_id)
            if row.avatar is None:
                return user_view(row)
            changed = await _change(tx, row, None)
        self._wake()
        return changed

    async def open(self, key: str, size: int) -> Download:
        """The picture under that key, which need not be anybody's. Raises NotFound, Unavailable."""
        if not _KEY.fullmatch(key):
            raise NotFound
        place = key_of_avatar(key, size)
        try:
            length = await self._store.size(place)
        except ObjectMissing:
            raise NotFound from None
        except OSError as error:
            log.error("The storage does not give a picture.", error=repr(error))
            raise Unavailable from error
        return Download(
            key=place,
            size=length,
            content_type="image/webp",
            name=f"{size}.webp",
            inline=True,
            etag=f"{key}-{size}",
            cache="immutable",
        )

    async def _take(self, user_id: UUID, received: Received, work_id: UUID | None = None) -> User:
        """Of two at once the later one stays: each finds the picture that the other has set, and has it removed."""
        avatar = secrets.token_hex(16)
        async with self._incoming.profile_picture(received) as squares:
            objects = {key_of_avatar(avatar, size): path for size, path in squares.items()}
            async with self._keeping.stored(objects) as kept, self._database.patient_transaction() as tx:
                row = await _locked(tx, user_id)
                if work_id and row.avatar:
                    raise HasPicture
                changed = await _change(tx, row, avatar)
                await kept.claim(tx)
                if work_id:
                    await tx.outbox.done([work_id])
        self._wake()
        return changed


async def _locked(tx: Transaction, user_id: UUID) -> Row:
    row = await tx.users.lock(user_id)
    if row is None:
        raise Unauthorized("This account is gone.")
    return row


async def _change(tx: Transaction, row: Row, avatar: str | None) -> User:
    """Give the person of this row, who is locked, another picture or none, and have the old one removed."""
    await tx.people.change(row.id, {"avatar": avatar})
    await remove_objects(tx, keys_of_avatar(row.avatar), now())
    row = await tx.users.me_row(row.id) or row
    await tell_of(tx, row)
    return user_view(row)


def key_of_avatar(avatar: str, size: int) -> str:
    """Where the picture of that size is kept. `avatar`: the column of that name."""
    return f"user-profiles/{avatar[:2]}/{avatar}-{size}.webp"


def keys_of_avatar(avatar: str | None) -> list[str]:
    """Where all sizes are kept; nowhere for who has none."""
    return [key_of_avatar(avatar, size) for size in PICTURE_SIZES] if avatar else []
