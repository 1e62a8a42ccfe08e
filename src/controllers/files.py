"""Files in rooms over REST (contract §6)."""

from uuid import UUID

from aiohttp import web

from ..errors import (
    Blocked,
    Gone,
    NotFound,
    QuotaExceeded,
    RateLimited,
    StorageFull,
    TokenExpired,
    Unauthorized,
    UnreadableImage,
)
from ..schemas.common import Items, Page
from ..schemas.files import File, FileAddress, GalleryQuery, RoomFile
from ..services.file_signatures import FileSignatures
from ..services.files import Files
from ..services.sessions import Sessions
from ..services.throttle import Throttle
from ..services.turns import Turns
from ..storage.download import Download
from ..storage.store import Store
from ..viewer import Viewer
from .api import PUBLIC, get, post
from .downloads import answer
from .forms import Form
from .parsing import bearer_token
from .uploads import array

MOST_FILES = 10
REFUSALS = (Unauthorized, TokenExpired, NotFound, Blocked, Gone, RateLimited)
LINK_SECONDS = 60
"""For so long an address of the storage itself works."""


class FilesController:
    tag = "files"

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        *,
        files: Files,
        turns: Turns,
        store: Store,
        signatures: FileSignatures,
        sessions: Sessions,
        throttle: Throttle,
        redirect: bool,
    ) -> None:
        self._files = files
        self._turns = turns
        self._store = store
        self._signatures = signatures
        self._sessions = sessions
        self._throttle = throttle
        self._redirect = LINK_SECONDS if redirect else None

    @post(
        "/rooms/{room_id}/files",
        status=201,
        limit="uploads",
        upload=array("files", MOST_FILES),
        errors=(NotFound, Blocked, Gone, QuotaExceeded, UnreadableImage, StorageFull),
    )
    async def upload(self, viewer: Viewer, room_id: UUID, form: Form) -> Items[File]:
        """Upload files into a room of mine: all of them, or none.

        Nobody else sees them until I send a message with their ids; what is not sent within a day is gone. Pictures are
        written anew, without what cameras and phones note in them, and turned upright.
        """
        with self._turns.turn(str(viewer.user_id)):
            return await self._files.upload(viewer.user_id, room_id, form.receive)

    @get("/rooms/{room_id}/files", errors=(NotFound,))
    async def gallery(self, viewer: Viewer, room_id: UUID, query: GalleryQuery) -> Page[RoomFile]:
        """The files in a room of mine, the newest first."""
        return await self._files.gallery(viewer.user_id, room_id, query)

    @get("/files/{file_id}", access=PUBLIC, media="*/*", errors=REFUSALS)
    async def download(self, request: web.Request, file_id: UUID, query: FileAddress) -> web.StreamResponse:
        """The bytes of a file: of a message that I may read, or uploaded by me and not yet sent.

        Opened by the address in `File.url`, which is signed for me, or with my Bearer token.
        """
        return await self._answer(request, await self._files.open(await self._who(request, file_id, query), file_id))

    @get("/files/{file_id}/thumbnail", access=PUBLIC, media="image/webp", errors=REFUSALS)
    async def thumbnail(self, request: web.Request, file_id: UUID, query: FileAddress) -> web.StreamResponse:
        """A small picture of an image, for which what `GET /files/{file_id}` says holds too."""
        user_id = await self._who(request, file_id, query)
        return await self._answer(request, await self._files.open(user_id, file_id, thumbnail=True))

    async def _who(self, request: web.Request, file_id: UUID, query: FileAddress) -> UUID:
        """Who asks: for whom the address was signed; where it is not, or no longer, whose token comes along."""
        user_id = await self._known(request, file_id, query)
        await self._throttle.hit("downloads", str(user_id))
        return user_id

    async def _known(self, request: web.Request, file_id: UUID, query: FileAddress) -> UUID:
        if query.signature is not None:
            try:
                return self._signatures.check(file_id, query.user or "", query.expires or "", query.signature)
            except Unauthorized:
                if "Authorization" not in request.headers:
                    raise
        return (await self._sessions.authenticate(bearer_token(request))).user_id

    async def _answer(self, request: web.Request, download: Download) -> web.StreamResponse:
        return await answer(request, self._store, download, redirect=self._redirect)
