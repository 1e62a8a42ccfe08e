"""Profile pictures over REST (contract §3)."""

from aiohttp import web

from ..errors import Gone, NotFound, StorageFull, UnreadableImage
from ..schemas.people import PictureQuery, User
from ..services.pictures import Pictures
from ..services.turns import Turns
from ..storage.store import Store
from ..viewer import Viewer
from .api import PUBLIC, delete, get, put
from .downloads import answer
from .forms import Form
from .uploads import single


class PicturesController:
    tag = "people"

    def __init__(self, pictures: Pictures, turns: Turns, store: Store) -> None:
        self._pictures = pictures
        self._turns = turns
        self._store = store

    @put(
        "/users/me/avatar",
        limit="uploads",
        upload=single("profile", limit="image_max_bytes"),
        errors=(UnreadableImage, StorageFull),
    )
    async def put_picture(self, viewer: Viewer, form: Form) -> User:
        """Have this profile picture, instead of the one that I had, whose address answers no more.

        A JPEG, PNG, WebP, GIF or HEIC. It is turned upright, cut to the square in its middle, and written anew, without
        what cameras and phones note in it; it does not move.
        """
        with self._turns.turn(str(viewer.user_id)):
            return await self._pictures.put(viewer.user_id, form.receive)

    @delete("/users/me/avatar")
    async def delete_picture(self, viewer: Viewer) -> User:
        """Have no profile picture."""
        return await self._pictures.remove(viewer.user_id)

    @get("/avatars/{key}", access=PUBLIC, limit="pictures", media="image/webp", errors=(NotFound,))
    async def picture(self, request: web.Request, key: str, query: PictureQuery) -> web.StreamResponse:
        """A profile picture, for whoever has its address: `avatar_url`, which is new with each picture.

        It may be kept for ever. So it comes from here wherever it is stored: addresses of the storage do not live long.
        """
        try:
            return await answer(request, self._store, await self._pictures.open(key, query.size))
        except Gone:  # removed a moment ago
            raise NotFound from None
