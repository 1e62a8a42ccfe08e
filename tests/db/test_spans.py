"""What became of lines is kept as spans that say of each line what was decided last, in few rows and statements."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from src.clock import now
from src.db.spans import Span, painted

from ..ladder import Street
from ..people import House

AT = datetime(2026, 11, 30, tzinfo=UTC)
ROOM, PERSON = uuid4(), uuid4()
SAID = [("pending", None), ("skipped", "muted"), ("skipped", "blocked"), ("sent", None), ("failed", "gone")]
DECISIONS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 12), st.sampled_from(SAID)), max_size=15)


def span(first: int, last: int, status: str, reason: str | None, at: datetime) -> Span:
    return Span(ROOM, PERSON, "push", first, last, status, reason, at)


@given(DECISIONS)
def test_each_line_has_what_was_decided_last_but_for_what_was_sent_or_is_blocked(
    decisions: list[tuple[int, int, tuple[str, str | None]]],
) -> None:
    spans: list[Span] = []
    truth: dict[int, tuple[str, str | None]] = {}
    for number, (first, more, said) in enumerate(decisions):
        spans = painted(spans, span(first, first + more, *said, AT + timedelta(seconds=number)))
        for line in range(first, first + more + 1):
            before = truth.get(line, ("", None))
            if before[1] != "blocked" and not (before[0] == "sent" and said[0] != "sent"):
                truth[line] = said
    assert {line: each[5:7] for each in spans for line in range(each.first_seq, each.last_seq + 1)} == truth
    for one, other in pairwise(spans):
        assert one.last_seq < other.first_seq
        adjacent = one.last_seq + 1 == other.first_seq and one[5:7] == other[5:7]
        assert not adjacent or one.status in ("sent", "failed")  # those have their own times


def test_what_was_sent_keeps_its_time() -> None:
    spans = painted([span(1, 2, "sent", None, AT)], span(3, 4, "sent", None, AT + timedelta(hours=1)))
    assert [each.at for each in spans] == [AT, AT + timedelta(hours=1)]


@pytest.fixture
async def street(house: House) -> Street:
    return Street(house)


async def test_a_record_is_what_painting_says(street: Street) -> None:
    anna, boris = await street.join("Anna", "Boris")
    room = await street.group(anna, boris)
    at = now()
    for first, last, status, reason in [
        (1, 5, "pending", None), (6, 9, "pending", None), (3, 4, "sent", None), (5, 12, "skipped", "active"),
        (1, 12, "skipped", "muted"), (13, 13, "skipped", "muted"), (2, 3, "sent", None), (14, 15, "skipped", "blocked"),
        (10, 20, "failed", "gone"),
    ]:  # fmt: skip
        async with street.database.transaction() as tx:
            await tx.deliveries.record([Span(room, boris, "push", first, last, status, reason, at)])
    assert await street.spans(room, boris, "push") == [
        (1, 1, "skipped", "muted"), (2, 4, "sent", None), (5, 9, "skipped", "muted"), (10, 13, "failed", "gone"),
        (14, 15, "skipped", "blocked"), (16, 20, "failed", "gone"),
    ]  # fmt: skip
    async with street.database.snapshot() as reads:
        assert (await reads.deliveries.of_line(room, 4, [boris]))[boris, "push"].status == "sent"
        assert await reads.deliveries.of_line(room, 21, [boris]) == {}


async def test_many_people_cost_few_statements(street: Street) -> None:
    people: list[UUID] = await street.join(*(f"P{n}" for n in range(30)), email=False, subscribed=False)
    room = await street.group(*people)
    for seqs in ((1, 1), (2, 3), (4, 4)):
        async with street.database.transaction() as tx:
            asked: list[str] = []
            listening = tx._connection.sync_connection
            event.listen(listening, "before_cursor_execute", lambda *args, asked=asked: asked.append(args[2]))
            spans = [
                Span(room, each, rung, *seqs, "pending", None, now()) for each in people for rung in ("push", "email")
            ]
            await tx.deliveries.record(spans)
        assert len(asked) <= 6, asked
    assert await street.spans(room, people[7], "email") == [(1, 4, "pending", None)]


async def test_two_who_decide_at_once_do_not_undo_what_was_sent(street: Street) -> None:
    anna, boris = await street.join("Anna", "Boris")
    room = await street.group(anna, boris)
    async with street.database.transaction() as tx:
        await tx.deliveries.record([Span(room, boris, "push", 1, 2, "sent", None, now())])
        await tx.deliveries._write([], {}, [Span(room, boris, "push", 1, 1, "skipped", "active", now())])
    assert await street.spans(room, boris, "push") == [(1, 2, "sent", None)]


async def test_what_was_long_sent_is_not_looked_at_again(street: Street) -> None:
    anna, boris = await street.join("Anna", "Boris")
    room, other, at = await street.group(anna, boris), await street.group(anna, boris), now()
    async with street.database.transaction() as tx:
        sent = [Span(room, boris, "push", n, n, "sent", None, at + timedelta(seconds=n)) for n in range(1, 50)]
        await tx.deliveries.record(sent)
        new = [Span(each, boris, "push", n, n + 5, "skipped", "active", at) for each, n in ((room, 50), (other, 2))]
        assert await tx.deliveries._recent(new) == {sent[-1].key: sent[-1:]}  # what new ones might extend
        await tx.deliveries.record(new)
        overlapping = Span(room, boris, "push", 48, 60, "skipped", "muted", at)
        assert [each.first_seq for each in (await tx.deliveries._recent([overlapping]))[sent[0].key]] == [
            47,
            48,
            49,
            50,
        ]
        await tx.deliveries.record([overlapping])
    spans = await street.spans(room, boris, "push")
    assert spans[-3:] == [(48, 48, "sent", None), (49, 49, "sent", None), (50, 60, "skipped", "muted")]
    assert len(spans) == 50
