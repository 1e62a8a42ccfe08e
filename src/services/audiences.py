"""Who may write in a room and who hears it, remembered for as long as the room's `roster` stays the same."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from ..db.sends import Membership

MAX_MEMBERS = 200_000


@dataclass(frozen=True, slots=True)
class Audience:
    """The members of a room at one value of its roster.

    `hearing`: the room is in their list; `unlisted`: it comes there with its next line. `first_seqs`: from which line
    on each may read, the newest `newest_first_seq`. Of a direct room: `barred` when
    there is a block between its two, `gone` when one has deleted the account.
    """

    roster: int
    hearing: frozenset[UUID]
    unlisted: frozenset[UUID]
    first_seqs: Mapping[UUID, int]
    newest_first_seq: int
    barred: bool
    gone: bool

    def reading(self, seq: int) -> frozenset[UUID]:
        """Who of all members may read the line `seq`."""
        return frozenset(user_id for user_id, first_seq in self.first_seqs.items() if first_seq <= seq)


class Audiences:
    """The rooms last written in, up to so many members in all."""

    def __init__(self, max_members: int = MAX_MEMBERS) -> None:
        self._max_members = max_members
        self._members = 0
        self._by_room: OrderedDict[UUID, Audience] = OrderedDict()

    def at(self, room_id: UUID, roster: int) -> Audience | None:
        """What is remembered of the room, if it still holds at this value of its roster."""
        found = self._by_room.get(room_id)
        if found is None or found.roster != roster:
            return None
        self._by_room.move_to_end(room_id)
        return found

    def remember(self, room_id: UUID, roster: int, members: Sequence[Membership]) -> Audience:
        """Remember the members that the room has, as long as its row is locked, at this value of its roster."""
        self._forget(room_id)
        audience = self._by_room[room_id] = _audience(roster, members)
        self._members += len(audience.first_seqs)
        while self._members > self._max_members and len(self._by_room) > 1:
            self._forget(next(iter(self._by_room)))
        return audience

    def clear(self) -> None:
        """Forget everything: the database was away, and may be another one."""
        self._by_room.clear()
        self._members = 0

    def _forget(self, room_id: UUID) -> None:
        forgotten = self._by_room.pop(room_id, None)
        if forgotten:
            self._members -= len(forgotten.first_seqs)


def _audience(roster: int, members: Sequence[Membership]) -> Audience:
    first_seqs = {member.user_id: member.first_seq for member in members}
    return Audience(
        roster=roster,
        hearing=frozenset(member.user_id for member in members if member.listed),
        unlisted=frozenset(member.user_id for member in members if not member.listed),
        first_seqs=first_seqs,
        newest_first_seq=max(first_seqs.values(), default=0),
        barred=any(member.barred for member in members),
        gone=any(member.gone for member in members),
    )
