"""Which files a route takes, after multer's habits: `single`, `array`, named `fields`, each with its limits.

    @post("/rooms/{room_id}/files", status=201, upload=array("files", 10))
    async def upload(self, viewer: Viewer, room_id: Id, form: Form) -> Items[File]:
        return await self._files.upload(viewer, room_id, form.receive)

`forms.py` reads them.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..file_settings import FileSettings

PART_OVERHEAD = 8 * 1024
"""More than the headers of a part and its boundary take."""

Limit = int | str
Accept = Callable[[str, str], str | None]


class Part(Protocol):
    """A file that is coming in. It goes when its context ends, unless it was moved away."""

    path: Path

    async def write(self, chunk: bytes) -> None: ...

    async def finish(self) -> None: ...


class Staging(Protocol):
    """Where files wait. Raises StorageFull. (`storage/staging.py`)"""

    def part(self) -> AbstractAsyncContextManager[Part]: ...

    def refuse_if_full(self, coming: int) -> None: ...


@dataclass(frozen=True, slots=True)
class FileField:
    """A field of a form that takes files: at most `most`, of at most `limit` bytes each.

    `limit` may name a setting of `settings.files`. `accept` is asked with the name and the type that the sender gives,
    before anything of the file is read; it answers why not, as a sentence, or None.
    """

    name: str
    most: int
    many: bool
    limit: Limit
    accept: Accept | None

    def path(self, number: int) -> str:
        """What a file of this field is called in refusals: `files.2` is the third."""
        return f"{self.name}.{number}" if self.many else self.name


@dataclass(frozen=True, slots=True)
class Upload:
    """The fields of a form. `a | b` has those of both. Raises ValueError for a faulty declaration."""

    fields: tuple[FileField, ...]

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        if not names or len(set(names)) < len(names) or any(field.most < 1 for field in self.fields):
            raise ValueError(f"each field is named once, and takes a file: {names}")

    def __or__(self, other: "Upload") -> "Upload":
        return Upload(self.fields + other.fields)


def single(name: str, *, limit: Limit = "max_bytes", accept: Accept | None = None) -> Upload:
    """One file."""
    return Upload((FileField(name, 1, False, limit, accept),))


def array(name: str, most: int, *, limit: Limit = "max_bytes", accept: Accept | None = None) -> Upload:
    """Up to `most` files under one name."""
    return Upload((FileField(name, most, True, limit, accept),))


def fields(*, limit: Limit = "max_bytes", accept: Accept | None = None, **most: int) -> Upload:
    """Files under several names, each at most so often: `fields(cover=1, pages=8)`."""
    return Upload(tuple(FileField(name, count, count > 1, limit, accept) for name, count in most.items()))


@dataclass(frozen=True, slots=True)
class Limits:
    """An `Upload` under certain settings: `sizes` are the bytes of one file of each field, `body` those of all."""

    fields: Mapping[str, FileField]
    sizes: Mapping[str, int]
    body: int = field(init=False)

    def __post_init__(self) -> None:
        files = sum(each.most * (self.sizes[name] + PART_OVERHEAD) for name, each in self.fields.items())
        object.__setattr__(self, "body", files + PART_OVERHEAD)


def limits_of(upload: Upload, settings: FileSettings) -> Limits:
    """What `upload` allows under these settings. Raises TypeError for a limit that no setting has the name of."""
    return Limits(
        {field.name: field for field in upload.fields},
        {field.name: _bytes(field.limit, settings) for field in upload.fields},
    )


def _bytes(limit: Limit, settings: FileSettings) -> int:
    found = getattr(settings, limit, None) if isinstance(limit, str) else limit
    if not isinstance(found, int):
        raise TypeError(f"settings.files.{limit} is no number of bytes")
    return found
