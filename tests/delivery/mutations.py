"""Proof that the checker can fail: each of these breaks a promise on purpose, in a copy of the tree, and must be seen.

`.venv/bin/python -m tests.delivery --prove [name …]`
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .stage import ROOT

MIGRATION = "src/db/migrations/versions/0001_people_and_a_first_conversation.py"
COPIED = ("src", "tests", "pyproject.toml", "alembic.ini")


class Edit(NamedTuple):
    """`old` becomes `new` in a file; it must be there, or the mutation has not kept up with the code."""

    file: str
    old: str
    new: str


class Mutation(NamedTuple):
    """`kinds`: at least one of these must be found."""

    name: str
    database: str
    kinds: frozenset[str]
    edits: Sequence[Edit]
    seconds: int = 40


MUTATIONS = (
    Mutation(
        "acknowledge_before_commit",
        "postgres",
        frozenset({"acked-lost"}),
        [
            Edit(
                "src/services/lanes.py",
                "outcome = await Batch(tx, self._audiences, self._tell_after, before=outcome).store(batch)\n",
                "outcome = await Batch(tx, self._audiences, self._tell_after, before=outcome).store(batch)\n"
                "                    for send, answer in outcome.answers:\n"
                "                        if not isinstance(answer, Repeat):\n"
                "                            send.answer(answer)\n"
                "                    await asyncio.sleep(0.1)  # a slow disk\n",
            )
        ],
    ),
    Mutation(
        "number_by_max_plus_one_without_the_lock",
        "postgres",
        frozenset({"gap"}),
        [
            Edit(MIGRATION, 'sa.UniqueConstraint("room_id", "rev", name=op.f("uq_messages_room_id_rev")),', ""),
            Edit(MIGRATION, 'sa.UniqueConstraint("room_id", "seq", name=op.f("uq_messages_room_id_seq")),', ""),
            Edit("src/db/postgres_sends.py", " ORDER BY id FOR NO KEY UPDATE", ""),
            Edit(
                "src/db/postgres_sends.py",
                "SELECT d.n, r.last_seq,",
                "SELECT d.n, (SELECT coalesce(max(seq), 0) FROM messages WHERE room_id = r.id),",
            ),
            Edit("src/services/sending.py", "self._lanes[room_id.int %", "self._lanes[draft.client_id.int %"),
        ],
    ),
    Mutation(
        "order_by_time",
        "sqlite",
        frozenset({"order-or-content-differs"}),
        [
            Edit(
                "src/db/repositories/messages.py",
                "lines.order_by(Message.seq.desc())",
                "lines.order_by(Message.created_at.desc(), Message.client_id)",
            )
        ],
    ),
    Mutation(
        "lose_broadcasts_and_answer_no_sync",
        "sqlite",
        frozenset({"not-delivered"}),
        [
            Edit(
                "src/controllers/broadcast.py",
                "            if isinstance(event, MessageSent):\n",
                "            if isinstance(event, MessageSent) and event.message.id.int % 10 == 0:\n"
                "                continue\n"
                "            if isinstance(event, MessageSent):\n",
            ),
            Edit(
                "src/services/sync.py",
                "if rev == head.rev and current and head.id not in touched:",
                "if rev and current:",
            ),
        ],
    ),
    Mutation(
        "store_a_retry_again",
        "sqlite",
        frozenset({"duplicate-stored"}),
        [
            Edit(
                "src/db/migrations/versions/0005_one_index_of_who_sent_what.py",
                'messages.create_unique_constraint("uq_messages_sender_id_client_id_room_id", _COLUMNS)',
                "pass",
            ),
            Edit("src/db/sqlite_sends.py", "UUID(earlier_id) if earlier_id else None", "None"),
            Edit("src/services/batches.py", "twin := self._stored.get(send.place)", "twin := None"),
        ],
    ),
    Mutation(
        "tell_who_has_left",
        "sqlite",
        frozenset({"leak"}),
        [Edit("src/db/repositories/rooms.py", "values(roster=Room.roster + 1)", "values(roster=Room.roster + 0)")],
    ),
    Mutation(
        "count_system_lines_as_unread",
        "sqlite",
        frozenset({"unread-wrong"}),
        [Edit("src/db/repositories/rooms.py", '"unread": int(unread),', '"unread": 1,')],
    ),
    Mutation(
        "forget_edits_in_sync",
        "sqlite",
        frozenset({"order-or-content-differs"}),
        [
            Edit(
                "src/db/repositories/cursors.py",
                "above = [and_(Message.room_id == room_id, Message.rev > rev)",
                "above = [and_(Message.room_id == room_id, Message.rev > rev, Message.edited_at.is_(None))",
            )
        ],
    ),
)


def prove(names: Sequence[str], seed: int) -> int:
    """Run each mutation, or those named; how many were not seen."""
    unseen = 0
    for mutation in MUTATIONS:
        if not names or mutation.name in names:
            found = found_in(mutation, seed)
            seen = bool(mutation.kinds & found)
            unseen += not seen
            told = ", ".join(sorted(found)) or "nothing"
            print(f"{'red ' if seen else 'NOT SEEN'} {mutation.name} ({mutation.database}): {told}", flush=True)
    return unseen


def found_in(mutation: Mutation, seed: int) -> set[str]:
    """The kinds of violation that a run on a mutated copy finds."""
    with tempfile.TemporaryDirectory(prefix="chatty-mutation-") as directory:
        tree = Path(directory)
        _copy(tree)
        for edit in mutation.edits:
            _apply(edit, tree)
        options = ["--database", mutation.database, "--seconds", str(mutation.seconds), "--seed", str(seed)]
        command = [sys.executable, "-m", "tests.delivery", *options]
        said = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    if "violations:" not in said.stdout:
        raise RuntimeError(f"{mutation.name} did not run:\n{said.stdout}{said.stderr[-3000:]}")
    line = next(line for line in said.stdout.splitlines() if line.startswith("violations:"))
    return set(re.findall(r"\d+ ([a-z-]+)", line))


def _copy(tree: Path) -> None:
    ignore = shutil.ignore_patterns("node_modules", "__pycache__", "static")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, tree / name)
    shutil.copytree(ROOT / "src" / "static", tree / "src" / "static")


def _apply(edit: Edit, tree: Path) -> None:
    path = tree / edit.file
    text = path.read_text()
    if edit.old not in text:
        raise RuntimeError(f"{edit.file} no longer holds {edit.old!r}: bring tests/delivery/mutations.py up to date")
    path.write_text(text.replace(edit.old, edit.new))
