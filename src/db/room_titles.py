"""What rooms are called by each of their members, for what is told of them elsewhere than in the service."""

from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

from ..schemas.people import User
from .pairs import Pair
from .repositories import Repositories
from .room_views import NAMES_SHOWN, names
from .views import user_view


async def room_titles(reads: Repositories, named: Mapping[Pair, str | None]) -> dict[Pair, str]:
    """The `display_name` that each person has for the room; "" where nobody of it has a name.

    `named`: what the person or the room's members have called it, as `members.names` has it.
    """
    nameless = {room_id for (_, room_id), name in named.items() if not name}
    people: defaultdict[UUID, list[User]] = defaultdict(list)
    if nameless:
        for row in await reads.members.first_of(await reads.members.counts(nameless)):
            people[row.room_id].append(user_view(row))
    return {pair: name or _names(pair, people[pair[1]]) for pair, name in named.items()}


def _names(pair: Pair, people: list[User]) -> str:
    return names([each for each in people[: NAMES_SHOWN + 1] if each.id != pair[0]])
