"""`chatty files check`: what the rows say is stored, held against what is stored."""

from collections.abc import Set
from dataclasses import dataclass, field
from datetime import timedelta

from ..clock import now
from ..db.database import Database
from ..storage.store import ObjectMissing, Store
from .pictures import keys_of_avatar
from .removals import REMOVE_OBJECTS, remove_objects

ROWS_AT_ONCE = 500
SETTLED = timedelta(hours=1)
"""What is younger may be on its way: stored, and soon to be somebody's, or just about to be removed."""


@dataclass
class Findings:
    """`missing`: keys of objects that rows name and that are not there; of another size than their row says: `differ`.

    `orphans`: keys of objects that nothing names.
    """

    objects: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    differ: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not (self.missing or self.differ or self.orphans)


class FileCheck:
    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    async def check(self) -> Findings:
        """Look at every object and every row; changes nothing.

        The objects come first: what is stored meanwhile is not seen, and what goes meanwhile is asked for once more.
        """
        before = now() - SETTLED
        found = {each.key: (each.size, each.modified_at) async for each in self._store.list()}
        known, doomed = await self._known()
        findings = Findings(objects=len(found), bytes=sum(size for size, _ in found.values()))
        nobodys = found.keys() - known.keys() - doomed
        findings.orphans = sorted(key for key in nobodys if found[key][1] < before)
        findings.missing = await self._still_missing(known.keys() - found.keys())
        findings.differ = sorted(
            key for key, size in known.items() if size is not None and key in found and found[key][0] != size
        )
        return findings

    async def repair(self, findings: Findings) -> Findings:
        """Remove the orphans, and forget thumbnails, unsent files and uploads whose bytes are missing; what is left.

        A file that was sent stays where its bytes are missing, and answers `gone`: nobody can make them again.
        """
        await self._store.delete(findings.orphans)
        async with self._database.transaction() as tx:
            left = await tx.files.forget_unsent_among(findings.missing)
            left += await tx.uploads.forget_with_parts(findings.missing)
            await tx.file_keys.forget_thumbnails(findings.missing)
            await remove_objects(tx, [key for key in left if key not in findings.missing], now())
        return await self.check()

    async def _still_missing(self, keys: Set[str]) -> list[str]:
        """Those of these keys that are still named, and still not there."""
        named = keys & (await self._known())[0].keys() if keys else ()
        return [key for key in sorted(named) if not await self._is_there(key)]

    async def _is_there(self, key: str) -> bool:
        try:
            await self._store.size(key)
        except ObjectMissing:
            return False
        return True

    async def _known(self) -> tuple[dict[str, int | None], set[str]]:
        """Every key that some row names, with the size of its object where the row has it; and those to be removed."""
        known: dict[str, int | None] = {}
        async with self._database.snapshot() as reads:
            async for some in reads.file_keys.of_files(ROWS_AT_ONCE):
                known |= some
            async for avatars in reads.file_keys.avatars(ROWS_AT_ONCE):
                known |= {key: None for avatar in avatars for key in keys_of_avatar(avatar)}
            known |= await reads.file_keys.of_parts()
            return known, {*await reads.file_keys.about_to_be_removed(REMOVE_OBJECTS)}
