"""Files in rooms that come in pieces, by tus 1.0 (tus.io/protocols/resumable-upload)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

from aiohttp import web

from ..errors import (
    Blocked,
    Conflict,
    Gone,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    TooSlow,
    Unavailable,
    UnreadableImage,
)
from ..schemas.files import ResumableUpload
from ..services.cuts import Body
from ..services.resumable import NewUpload, Resumable
from ..services.turns import Turns
from ..viewer import Viewer
from .api import PREFIX, PUBLIC, Answer, delete, get, options, patch, post
from .bodies import pieces
from .tus import (
    EXTENSIONS,
    MAX_METADATA,
    MEDIA_TYPE,
    METADATA_PATTERN,
    VERSION,
    http_date,
    metadata_of,
    number_of,
    refuse_other_bodies,
    refuse_other_versions,
    refuse_what_is_not_spoken,
)
from .wire import Asked, Wire

RETRY_MS = 1000

_ALWAYS = {"Tus-Resumable": VERSION, "Tus-Version": VERSION}
_SPOKEN = Asked("the version of the protocol", {"type": "string", "enum": [VERSION]}, required=True)
_BYTES = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
_LENGTH = Asked("the size of the file, in bytes", {**_BYTES, "minimum": 1}, required=True)
_METADATA = Asked(
    "`filename` and `filetype`, each with its value in Base64: `filename bGV0dGVyLnR4dA==,filetype dGV4dC9wbGFpbg==`",
    {"type": "string", "pattern": METADATA_PATTERN, "maxLength": MAX_METADATA},
)
_FROM = Asked("from which byte on", _BYTES, required=True)
_OFFSET = {"Upload-Offset": "how many bytes are here"}
_EXPIRES = {"Upload-Expires": "until when it can be continued (RFC 9110 §5.6.7)"}
_FILE = {"Chatty-File-Id": "which file it has become, if all bytes are here"}

_ASK = Wire(
    always=_ALWAYS, gives={"Tus-Extension": "what is spoken beside the core", "Tus-Max-Size": "of a file, in bytes"}
)
_BEGIN = Wire(
    asks={"Tus-Resumable": _SPOKEN, "Upload-Length": _LENGTH, "Upload-Metadata": _METADATA},
    gives={"Location": "where to send it", **_OFFSET, **_EXPIRES, **_FILE},
    always=_ALWAYS,
    body=MEDIA_TYPE,
    optional_body=True,
)
_FIND = Wire(gives={**_OFFSET, "Upload-Length": "of how many", **_EXPIRES, **_FILE}, always=_ALWAYS)
_CONTINUE = Wire(
    asks={"Tus-Resumable": _SPOKEN, "Upload-Offset": _FROM},
    gives={**_OFFSET, **_EXPIRES, **_FILE},
    always=_ALWAYS,
    body=MEDIA_TYPE,
)
_GIVE_UP = Wire(asks={"Tus-Resumable": _SPOKEN}, always=_ALWAYS)


class ResumableController:
    tag = "files"

    def __init__(self, resumable: Resumable, turns: Turns, public_url: str, max_bytes: int) -> None:
        self._resumable = resumable
        self._turns = turns
        self._base = f"{public_url}{PREFIX}/uploads/"
        self._max_bytes = max_bytes

    @options("/rooms/{room_id}/uploads", access=PUBLIC, wire=_ASK)
    async def upload_options(self, room_id: UUID) -> Answer[None]:
        """Ask what can be uploaded in pieces, and how."""
        return Answer(None, headers={"Tus-Extension": EXTENSIONS, "Tus-Max-Size": str(self._max_bytes)})

    @post(
        "/rooms/{room_id}/uploads",
        status=201,
        limit="uploads",
        wire=_BEGIN,
        errors=(PreconditionFailed, NotFound, Blocked, Gone, QuotaExceeded, UnreadableImage),
    )
    async def begin_upload(self, viewer: Viewer, room_id: UUID, request: web.Request) -> Answer[None]:
        """Begin to upload a file into a room of mine in pieces (tus 1.0), of which the first may come with this.

        Nobody else sees the file until I send a message with its id. It can be continued for a day.
        """
        refuse_other_versions(request)
        refuse_what_is_not_spoken(request)
        new = NewUpload(number_of(request, "Upload-Length"), *metadata_of(request))
        body = _body(request) if request.body_exists else None
        with self._turns.turn(str(viewer.user_id)):
            upload = await self._resumable.create(viewer.user_id, room_id, new, body)
        return Answer(None, headers={"Location": f"{self._base}{upload.id}", **_state(upload)})

    @get("/uploads/{upload_id}", wire=_FIND, errors=(PreconditionFailed, NotFound, Gone))
    async def find_upload(self, viewer: Viewer, upload_id: UUID, request: web.Request) -> Answer[ResumableUpload]:
        """How much of an upload of mine is here; once all is, the file.

        A HEAD says the same in its headers, as tus wants it.
        """
        if request.method == "HEAD" or "Tus-Resumable" in request.headers:
            refuse_other_versions(request)
        upload = await self._resumable.find(viewer.user_id, upload_id)
        return Answer(upload, headers={"Upload-Length": str(upload.size), **_state(upload)})

    @patch(
        "/uploads/{upload_id}",
        limit="upload_parts",
        wire=_CONTINUE,
        errors=(PreconditionFailed, NotFound, Gone, Blocked, Conflict, QuotaExceeded, UnreadableImage),
    )
    async def continue_upload(self, viewer: Viewer, upload_id: UUID, request: web.Request) -> Answer[None]:
        """Send more of an upload, or all of it: what has come stays when the connection breaks.

        With the last byte it becomes a file, as `POST /rooms/{room_id}/files` would have made it. What is refused then,
        such as an image that nobody can read, is gone.
        """
        refuse_other_versions(request)
        offset = number_of(request, "Upload-Offset")
        body = _body(request)
        with self._turns.turn(str(viewer.user_id)), _to_be_tried_again():
            upload = await self._resumable.append(viewer.user_id, upload_id, offset, body)
        return Answer(None, headers=_state(upload))

    @delete("/uploads/{upload_id}", wire=_GIVE_UP, errors=(PreconditionFailed, NotFound))
    async def give_up_upload(self, viewer: Viewer, upload_id: UUID, request: web.Request) -> None:
        """Give up an upload of mine. A file that it has become stays."""
        refuse_other_versions(request)
        await self._resumable.terminate(viewer.user_id, upload_id)


@contextmanager
def _to_be_tried_again() -> Iterator[None]:
    """Clients of tus give up on a 4xx: who was too slow, whose bytes are here, is to go on."""
    try:
        yield
    except TooSlow:
        raise Unavailable("What came in time has been kept; go on with the rest.", retry_after_ms=RETRY_MS) from None


def _body(request: web.Request) -> Body:
    refuse_other_bodies(request)
    return Body(request.content_length, partial(pieces, request))


def _state(upload: ResumableUpload) -> dict[str, str]:
    """Where an upload stands, in headers."""
    became = {"Chatty-File-Id": str(upload.file.id)} if upload.file else {}
    return {"Upload-Offset": str(upload.offset), "Upload-Expires": http_date(upload.expires_at), **became}
