"""Groups, read marks, replies and reactions

Columns are added with a default, for the rows that are there: SQLite adds a NOT NULL column no other way, and making
the table anew would delete, by cascade, all that refers to it.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LONG_AGO = "1970-01-01 00:00:00.000000"
_MOMENT = sa.DateTime(timezone=True)


_COLUMNS: dict[str, list[sa.Column[Any]]] = {
    "rooms": [
        sa.Column("name_key", sa.String(length=400), nullable=True),
        sa.Column("name_initials", sa.String(length=400), nullable=True),
        sa.Column("roster", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("notice_seq", sa.BigInteger(), nullable=True),
        sa.Column("active_at", _MOMENT, nullable=False, server_default=_LONG_AGO),
        sa.Column("changed_at", _MOMENT, nullable=False, server_default=_LONG_AGO),
        sa.Column("abandoned_at", _MOMENT, nullable=True),
    ],
    "members": [
        sa.Column("first_rev", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("muted_until", _MOMENT, nullable=True),
        sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("alias", sa.String(length=100), nullable=True),
        sa.Column("alias_key", sa.String(length=400), nullable=True),
        sa.Column("alias_initials", sa.String(length=400), nullable=True),
        sa.Column("touched_at", _MOMENT, nullable=True),
    ],
    "messages": [
        sa.Column("reply_to_seq", sa.BigInteger(), nullable=True),
        sa.Column("mentions", sa.JSON(), nullable=True),
        sa.Column("system", sa.JSON(), nullable=True),
    ],
}


def upgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    _add_tables()
    op.create_index("ix_members_room_id_touched_at", "members", ["room_id", "touched_at"])
    abandoned = sa.text("abandoned_at IS NOT NULL")
    op.create_index(
        "ix_rooms_abandoned_at", "rooms", ["abandoned_at"], sqlite_where=abandoned, postgresql_where=abandoned
    )
    op.execute(
        "UPDATE rooms SET active_at ="
        " coalesce((SELECT max(created_at) FROM messages WHERE messages.room_id = rooms.id), created_at)"
    )
    op.execute("UPDATE rooms SET changed_at = active_at")


def _add_tables() -> None:
    op.create_table(
        "read_marks",
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name="fk_read_marks_room_id_rooms", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_read_marks_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("room_id", "user_id", "seq", name="pk_read_marks"),
    )
    op.create_index("ix_read_marks_user_id", "read_marks", ["user_id"])
    op.create_table(
        "reactions",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("emoji", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_reactions_message_id_messages", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_reactions_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id", "emoji", "user_id", name="pk_reactions"),
    )
    op.create_index("ix_reactions_user_id", "reactions", ["user_id"])
