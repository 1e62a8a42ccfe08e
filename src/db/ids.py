"""Ids: UUIDv7 (RFC 9562), so that an index grows at its end."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """An id that nobody has, greater than those this process made before."""
    return uuid7()
