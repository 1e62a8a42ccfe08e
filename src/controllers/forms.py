"""The files of a `multipart/form-data` body (RFC 7578), streamed into the staging area, one at a time.

What a browser or a program never sends is refused rather than guessed at: a part that says something twice, that is
encoded, that is no file. All or nothing: whatever is refused, no file stays.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from aiohttp import web
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from ..errors import ChattyError, FieldError, Invalid, Malformed, TooLarge, UnsupportedType
from ..storage.received import Received
from .bodies import pieces
from .dispositions import Disposition, parsed
from .uploads import FileField, Limits, Part, Staging

MAX_HEADER_CHARACTERS = 4096
MAX_FIELD = 100
UNKNOWN_TYPE = "application/octet-stream"
# RFC 2046 §5.1.1.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PLAIN_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
_CONTROL = re.compile(r"[\0\r\n]")


class Form:
    """The files of one request, not read yet: whoever may not send them is refused before."""

    def __init__(self, request: web.Request, limits: Limits, staging: Staging) -> None:
        self._request, self._limits, self._staging = request, limits, staging

    @asynccontextmanager
    async def receive(self) -> AsyncIterator[Sequence[Received]]:
        """Read what was sent, once: a `Receive` for a service. The files are there until the context ends.

        Raises Malformed, UnsupportedType, TooLarge, Invalid, StorageFull; where a file is to blame, with its field.
        """
        parser = PushMultipartParser(
            _boundary(self._request), header_charset="latin-1", max_header_size=MAX_HEADER_CHARACTERS
        )
        await self._refuse_what_cannot_fit()
        async with AsyncExitStack() as stack:
            files = _Files(self._limits, self._staging, stack)
            async with aclosing(pieces(self._request, self._limits.body)) as body:
                await _read(parser, body, files)
            yield files.received()

    async def _refuse_what_cannot_fit(self) -> None:
        announced = self._request.content_length or 0
        if announced > self._limits.body:
            names = list(self._limits.fields)
            raise _refusal(TooLarge, names[0] if len(names) == 1 else "", "file_too_large", "must be smaller")
        await asyncio.to_thread(self._staging.refuse_if_full, announced)


async def _read(parser: PushMultipartParser, body: AsyncIterator[bytes], files: "_Files") -> None:
    try:
        async for piece in body:
            for event in parser.parse(piece):
                await files.take(event)
        parser.close()
    except MultipartError:
        raise Malformed("The multipart body is broken.") from None


def _boundary(request: web.Request) -> str:
    if not request.body_exists:
        raise Malformed("This request needs a multipart/form-data body.")
    kind, options = parse_options_header(request.headers.get("Content-Type", ""))
    if kind != "multipart/form-data":
        raise UnsupportedType("Send multipart/form-data.")
    boundary: str = options.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise Malformed("The multipart boundary is missing or none.")
    return boundary


class _Files:
    """The files of a form as they come in; `stack` holds those that are here."""

    def __init__(self, limits: Limits, staging: Staging, stack: AsyncExitStack) -> None:
        self._limits, self._staging, self._stack = limits, staging, stack
        self._count: Counter[str] = Counter()
        self._received: list[Received] = []
        self._now: _Incoming | None = None

    async def take(self, event: MultipartSegment | bytes | None) -> None:
        """One event of the parser: the headers of a part, a piece of it, its end."""
        if isinstance(event, MultipartSegment):
            self._now = self._begin(event)
        elif self._now and event is None:
            await self._end(self._now)
        elif self._now and event:
            await self._write(self._now, event)

    def received(self) -> Sequence[Received]:
        """All of them, whole. Raises Invalid where there is none."""
        if not self._received:
            raise Invalid(errors=[FieldError(name, "missing", "must be a file") for name in self._limits.fields])
        return self._received

    def _begin(self, segment: MultipartSegment) -> "_Incoming":
        headers = _headers(segment)
        said = parsed(headers.get("Content-Disposition", ""))
        if not said:
            raise Malformed("A part of the form has no readable Content-Disposition.")
        field = self._field(said)
        number = self._count[field.name]
        if number >= field.most:
            message = f"must be at most {field.most}" if field.many else "must be one"
            raise _refusal(Invalid, field.name, "too_many_files", message)
        self._count[field.name] += 1
        incoming = _Incoming(field.path(number), said.filename or "", headers, self._limits.sizes[field.name])
        incoming.refuse_unless_accepted(field)
        return incoming

    def _field(self, said: Disposition) -> FileField:
        field = self._limits.fields.get(said.name)
        if field is None:
            raise _refusal(Invalid, said.name, "unexpected_field", "There is no such field")
        if said.filename is None:
            raise _refusal(Invalid, said.name, "unexpected_field", "must be a file, with a name")
        return field

    async def _write(self, now: "_Incoming", piece: bytes) -> None:
        now.size += len(piece)
        if now.size > now.limit:
            raise _refusal(TooLarge, now.path, "file_too_large", f"must have at most {now.limit} bytes")
        if now.part is None:
            now.part = await self._stack.enter_async_context(self._staging.part())
        await now.part.write(piece)

    async def _end(self, now: "_Incoming") -> None:
        if now.part:
            await now.part.finish()
            self._received.append(Received(now.path, now.name, now.content_type, now.size, now.part.path))
        elif now.name:  # without one it is what a browser sends for a field that was left empty
            raise _refusal(Invalid, now.path, "empty_file", "must not be empty")


class _Incoming:
    """The file that is coming in. It has a `part` from its first byte on."""

    def __init__(self, path: str, name: str, headers: dict[str, str], limit: int) -> None:
        self.path, self.name, self.limit = path, name, limit
        self.content_type = headers.get("Content-Type", "").strip() or UNKNOWN_TYPE
        self.size = 0
        self.part: Part | None = None

    def refuse_unless_accepted(self, field: FileField) -> None:
        if field.accept and (why := field.accept(self.name, self.content_type)):
            raise _refusal(UnsupportedType, self.path, "banned_type", why, "This type of file is not taken.")


def _headers(segment: MultipartSegment) -> dict[str, str]:
    """The headers of a part, decoded; they are read as Latin-1, which fits all bytes. Raises Malformed."""
    headers = {name: value.encode("latin-1").decode("utf-8", "replace") for name, value in segment.headerlist}
    if len(headers) < len(segment.headerlist) or any(_CONTROL.search(value) for value in headers.values()):
        raise Malformed("A part of the form has broken headers.")
    if headers.get("Content-Transfer-Encoding", "binary").strip().lower() not in _PLAIN_ENCODINGS:
        raise Malformed("Send files as they are, without a Content-Transfer-Encoding.")
    return headers


def _refusal(error: type[ChattyError], field: str, code: str, message: str, detail: str | None = None) -> ChattyError:
    return error(detail, errors=[FieldError(field[:MAX_FIELD], code, message)])
