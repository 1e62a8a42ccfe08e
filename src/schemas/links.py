"""Addresses in views: made without knowing who will hear them, written out for whoever does."""

from typing import Any, Protocol
from uuid import UUID

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_FILES = "/files/"


class Link(str):
    """A path below the API, such as `/files/{id}`, `/files/{id}/thumbnail` or `/avatars/{key}`.

    As JSON it is the address that the serialization context, a Reader, gives it; without one, the bare path.
    """

    __slots__ = ()

    @property
    def personal(self) -> bool:
        """Whether everybody is given an address of their own."""
        return self.startswith(_FILES)

    @property
    def file_id(self) -> UUID:
        """The file that a personal one leads to."""
        return UUID(self.split("/")[2])

    def written(self, reader: "Reader | None") -> str:
        """What is sent to whoever hears it."""
        return reader.address(self) if reader else str(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        writing = core_schema.plain_serializer_function_ser_schema(
            _written, info_arg=True, return_schema=core_schema.str_schema(), when_used="json"
        )
        return core_schema.is_instance_schema(cls, serialization=writing)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "uri"}


class Reader(Protocol):
    """Whom a view is written for."""

    def address(self, link: Link) -> str:
        """The absolute address under which they find it."""


def _written(link: Link, info: SerializationInfo) -> str:
    return link.written(info.context)
