"""Which objects the rows name, for whoever holds them against the storage."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import File, OutboxItem, UploadPart, User
from ..rows import Row


class FileKeys:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of_files(self, rows_at_once: int) -> AsyncIterator[dict[str, int]]:
        """The keys of files and thumbnails with their sizes, some at a time."""
        columns = (File.id, File.key, File.size, File.thumbnail_key, File.thumbnail_size)
        async for rows in self._some(File.id, columns, rows_at_once):
            images = {row.thumbnail_key: row.thumbnail_size for row in rows if row.thumbnail_key}
            yield {row.key: row.size for row in rows} | images

    async def of_parts(self) -> dict[str, int]:
        """The keys of the pieces of uploads under way, with their sizes."""
        rows = await self._connection.execute(select(UploadPart.key, UploadPart.size))
        return {row.key: row.size for row in rows.all()}

    async def avatars(self, rows_at_once: int) -> AsyncIterator[list[str]]:
        """The pictures that people have, some at a time."""
        async for rows in self._some(User.id, (User.id, User.avatar), rows_at_once):
            yield [row.avatar for row in rows if row.avatar]

    async def about_to_be_removed(self, kind: str) -> list[str]:
        """The keys that outbox rows of this kind name."""
        payloads = await self._connection.scalars(select(OutboxItem.payload).where(OutboxItem.kind == kind))
        return [key for payload in payloads.all() for key in payload.get("keys", ())]

    async def forget_thumbnails(self, keys: Collection[str]) -> None:
        """Say that these images have no thumbnail."""
        gone = update(File).where(File.thumbnail_key.in_(keys)).values(thumbnail_key=None, thumbnail_size=0)
        await self._connection.execute(gone)

    async def _some(self, id_: Any, columns: Sequence[Any], rows_at_once: int) -> AsyncIterator[Sequence[Row]]:
        page, last = select(*columns).order_by(id_).limit(rows_at_once), None
        while rows := (await self._connection.execute(page.where(id_ > last) if last else page)).all():
            yield rows
            last = rows[-1].id
