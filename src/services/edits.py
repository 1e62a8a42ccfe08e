"""Editing and deleting one's own messages, within a window (contract §5, §9)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from ..clock import now
from ..db.database import Database
from ..db.rows import Row
from ..errors import Forbidden
from ..schemas.messages import Message
from .lines import change_line, lock_readable, refuse_tombstone, refuse_unless_own, seen
from .notices import settle
from .removals import remove_objects
from .rooms import refuse_across_block
from .system_lines import announce_change


class Edits:
    """`window_hours`: for so long after sending; 0 for ever. `wake`: called after a COMMIT that left work."""

    def __init__(self, database: Database, window_hours: float, wake: Callable[[], None]) -> None:
        self._database = database
        self._wake = wake
        self._window = timedelta(hours=window_hours)

    async def edit(self, user_id: UUID, message_id: UUID, text: str) -> Message:
        """Give a message of mine another text. The same text changes nothing.

        Whom it mentioned stays. Raises NotFound for what I may not read, Forbidden for another's or after the window,
        Gone for a deleted one, Blocked in a direct room across a block.
        """
        async with self._database.transaction() as tx:
            line, room = await lock_readable(tx, user_id, message_id)
            refuse_unless_own(line, user_id)
            refuse_tombstone(line)
            if line.text == text:
                return await seen(tx, line, room)
            await refuse_across_block(tx, room)
            at = now()
            self._refuse_late(line, at)
            await tx.search.change(line, text)
            return await change_line(tx, room, line, at, text=text, edited_at=at)

    async def delete(self, user_id: UUID, message_id: UUID) -> Message:
        """Make a tombstone of a message of mine: its place stays, its content and files go, also from the notice.

        A deleted one stays as it is. Raises NotFound for what I may not read, Forbidden for another's or after the
        window.
        """
        async with self._database.transaction() as tx:
            line, room = await lock_readable(tx, user_id, message_id)
            refuse_unless_own(line, user_id)
            if line.deleted_at is not None:
                return await seen(tx, line, room)
            at = now()
            self._refuse_late(line, at)
            await tx.search.forget([line])
            await tx.reactions.clear(line.id)
            settle(tx, await tx.notifications.remove_of_message(line.id))
            keys = await tx.files.detach([line.id])
            await remove_objects(tx, keys, at)
            emptied = {"text": None, "mentions": None, "reply_to_seq": None}
            message = await change_line(tx, room, line, at, deleted_at=at, **emptied)
            if room.notice_seq == line.seq:
                await tx.rooms.set_notice(room.id, None)
                await announce_change(tx, room.id, at, notice=None)
        if keys:  # most messages have no files, and leave no work
            self._wake()
        return message

    def _refuse_late(self, line: Row, at: datetime) -> None:
        if self._window and at - line.created_at > self._window:
            raise Forbidden("It is too late to change this message.")
