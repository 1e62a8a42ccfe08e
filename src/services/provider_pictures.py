"""The picture that a newcomer has elsewhere becomes theirs here: fetched after COMMIT, through the outbox."""

from collections.abc import Collection, Mapping
from uuid import UUID

import structlog

from ..clock import now
from ..db.database import Database, Transaction
from ..db.rows import Row
from ..errors import TooLarge, Unauthorized, UnreadableImage, UnsupportedType
from ..file_settings import MIB
from ..oauth import pictures
from ..oauth.failures import Refused
from ..oauth.identity import VerifiedIdentity
from ..storage.received import Received
from ..storage.staging import Staging
from .pictures import HasPicture, Pictures

log = structlog.get_logger("chatty.oauth")

FETCH_PICTURE = "fetch_picture"
MOST_BYTES = 5 * MIB
TRIES = 4


class ProviderPictures:
    """`origins`: what of each provider is asked wherever it is. `most`: the largest picture that people may send."""

    def __init__(
        self,
        database: Database,
        staging: Staging,
        pictures: Pictures,
        origins: Mapping[str, Collection[str]],
        most: int,
    ) -> None:
        self._database = database
        self._staging = staging
        self._pictures = pictures
        self._origins = origins
        self._most = min(most, MOST_BYTES)

    async def carry_out(self, item: Row) -> None:
        """What an outbox row asks for; nothing for who has a picture by now, or is gone.

        Raises whatever may be over when it is tried again; what will not mend, or failed too often, is let go: nobody
        waits for it. Never in the log: the address, which shows who it is.
        """
        provider, user_id = item.payload["provider"], UUID(item.payload["user_id"])
        if not await self._is_wanted(user_id):
            return
        try:
            await self._fetch(item.id, user_id, provider, item.payload["address"])
        except (HasPicture, Unauthorized):
            return
        except Refused as refusal:
            log.info("A picture at a provider is not taken.", provider=provider, reason=refusal.reason)
        except (UnsupportedType, UnreadableImage, TooLarge) as refusal:
            log.info("A picture at a provider is not taken.", provider=provider, reason=refusal.code)
        except Exception as error:
            if item.attempts + 1 < TRIES:
                raise
            log.info("A picture at a provider is not to be had.", provider=provider, reason=type(error).__name__)

    async def _is_wanted(self, user_id: UUID) -> bool:
        async with self._database.single_read() as reads:
            row = await reads.users.me_row(user_id)
        return row is not None and row.avatar is None

    async def _fetch(self, work_id: UUID, user_id: UUID, provider: str, address: str) -> None:
        async with self._staging.part() as part:
            await pictures.fetch(address, self._origins.get(provider, ()), self._most, part.write)
            await part.finish()
            received = Received("profile", "", "", part.size, part.path)
            await self._pictures.put_first(user_id, received, work_id)


async def ask_for_picture(tx: Transaction, user_id: UUID, identity: VerifiedIdentity) -> None:
    """Have the picture fetched, if there is one, that the provider has of somebody. Wake the outbox after COMMIT."""
    if identity.picture:
        asked = {"user_id": str(user_id), "provider": identity.provider, "address": identity.picture}
        await tx.outbox.add(FETCH_PICTURE, asked, now())
