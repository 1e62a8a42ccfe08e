"""What rooms are called by each of their members, for what is told of them elsewhere than in the service."""

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from ..schemas.people import User
from .pairs import Pair
from .repositories import Repositories
from .repositories.room_notifications import RoomNotification
from .room_views import NAMES_SHOWN, names
from .views import user_view


async def room_titles(reads: Repositories, found: Collection[RoomNotification]) -> dict[Pair, str]:
    """The `display_name` that each person has for the room; "" where nobody of it has a name."""
    nameless = {each.room_id for each in found if not each.name}
    people: defaultdict[UUID, list[User]] = defaultdict(list)
    if nameless:
        for row in await reads.members.first_of(await reads.members.counts(nameless)):
            people[row.room_id].append(user_view(row))
    return {each.pair: each.name or _names(each, people[each.room_id]) for each in found}


def _names(found: RoomNotification, people: list[User]) -> str:
    return names([each for each in people[: NAMES_SHOWN + 1] if each.id != found.user_id])
