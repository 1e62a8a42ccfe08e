"""How much one person may have here."""

from uuid import UUID

from ..db.repositories import Repositories
from ..errors import QuotaExceeded
from ..file_settings import MIB


class Quotas:
    def __init__(self, quota_bytes: int) -> None:
        self._quota = quota_bytes

    async def refuse_beyond(self, reads: Repositories, user_id: UUID, coming: int) -> None:
        """Raise QuotaExceeded if this person had more than their quota with so many bytes more.

        Where it must hold, the person's row is locked: of two uploads at once only one is the last that fits.
        """
        held = await reads.files.held_by(user_id)
        if held + coming > self._quota:
            raise QuotaExceeded(
                f"You have {held / MIB:.1f} MiB here and may have {self._quota / MIB:g}: delete some messages with "
                "files first."
            )
