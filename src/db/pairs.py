"""Some (person, room) as one parameter, joined like a table: exactly these, by their keys."""

from collections.abc import Collection
from uuid import UUID

import orjson
from sqlalchemy import Subquery, Uuid, text

Pair = tuple[UUID, UUID]
"""A person and a room."""

_SQL = {
    "sqlite": "SELECT value ->> 0 AS user_id, value ->> 1 AS room_id FROM json_each(:pairs)",
    "postgresql": "SELECT CAST(value ->> 0 AS uuid) AS user_id, CAST(value ->> 1 AS uuid) AS room_id"
    " FROM json_array_elements(CAST(:pairs AS json))",
}


def pairs_in(dialect: str) -> Subquery:
    """The pairs of the parameter `pairs`, made by `as_pairs`: `user_id` and `room_id`."""
    return text(_SQL[dialect]).columns(user_id=Uuid(), room_id=Uuid()).subquery("pairs")


def as_pairs(pairs: Collection[Pair]) -> str:
    """The value of that parameter."""
    return orjson.dumps([(user_id.hex, room_id.hex) for user_id, room_id in pairs]).decode()


DIALECTS = tuple(_SQL)
