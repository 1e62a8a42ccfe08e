"""People are notified: in the service, by push, by e-mail"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_UNREAD, _TO_TELL = sa.text("read_at IS NULL"), sa.text("tell_at IS NOT NULL")


def upgrade() -> None:
    _columns()
    _notifications()
    _preferences()
    _push_subscriptions()
    _deliveries()


def _columns() -> None:
    op.add_column("rooms", sa.Column("tell_at", _MOMENT))
    op.add_column("rooms", sa.Column("told_seq", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE rooms SET told_seq = last_seq")  # what was there before is told to nobody any more
    op.create_index("ix_rooms_tell_at", "rooms", ["tell_at"], sqlite_where=_TO_TELL, postgresql_where=_TO_TELL)
    op.add_column("members", sa.Column("notified_ordinal", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("users", sa.Column("email_bounced_at", _MOMENT))
    by_bytes = sa.String(120).with_variant(sa.String(120, collation="C"), "postgresql")
    op.add_column("outbox", sa.Column("key", by_bytes))
    op.create_index("ix_outbox_key", "outbox", ["key"], unique=True)
    op.create_index("ix_outbox_kind_due_at", "outbox", ["kind", "due_at"])
    op.drop_index("ix_outbox_due_at", "outbox")


def _notifications() -> None:
    kinds = "'mention', 'reaction', 'friend_request', 'friend_accepted', 'room_invite', 'system'"
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("actor_id", sa.Uuid()),
        sa.Column("room_id", sa.Uuid()),
        sa.Column("message_id", sa.Uuid()),
        sa.Column("seq", sa.BigInteger()),
        sa.Column("emoji", sa.String(64)),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("read_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.CheckConstraint(f"kind IN ({kinds})", name=op.f("ck_notifications_kind")),
        *(
            sa.ForeignKeyConstraint(
                [f"{one}_id"], [f"{table}.id"], name=f"fk_notifications_{one}_id_{table}", ondelete="CASCADE"
            )
            for one, table in (("user", "users"), ("actor", "users"), ("room", "rooms"), ("message", "messages"))
        ),
    )
    op.create_index("ix_notifications_user_id_created_at_id", "notifications", ["user_id", "created_at", "id"])
    of_room = ["user_id", "room_id"]
    op.create_index("ix_notifications_unread", "notifications", of_room, sqlite_where=_UNREAD, postgresql_where=_UNREAD)
    for column in ("actor_id", "room_id", "message_id", "created_at"):
        op.create_index(f"ix_notifications_{column}", "notifications", [column])


def _preferences() -> None:
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("quiet_from", sa.String(5)),
        sa.Column("quiet_to", sa.String(5)),
        sa.Column("time_zone", sa.String(64)),
        sa.Column("hide_content", sa.Boolean(), nullable=False),
        sa.Column("mailed_at", _MOMENT),
        sa.PrimaryKeyConstraint("user_id", name="pk_notification_preferences"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_notification_preferences_user_id_users", ondelete="CASCADE"
        ),
    )


def _push_subscriptions() -> None:
    op.create_table(
        "push_subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("endpoint_hash", sa.String(64), nullable=False),
        sa.Column("p256dh", sa.String(100), nullable=False),
        sa.Column("auth", sa.String(30), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_push_subscriptions"),
        sa.UniqueConstraint("endpoint_hash", name="uq_push_subscriptions_endpoint_hash"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_push_subscriptions_user_id_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_push_subscriptions_session_id_sessions", ondelete="CASCADE"
        ),
    )
    for column in ("user_id", "session_id"):
        op.create_index(f"ix_push_subscriptions_{column}", "push_subscriptions", [column])


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(10), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(20)),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("room_id", "user_id", "channel", "first_seq", name="pk_deliveries"),
        sa.CheckConstraint("channel IN ('in_app', 'push', 'email')", name=op.f("ck_deliveries_channel")),
        sa.CheckConstraint("status IN ('sent', 'pending', 'skipped', 'failed')", name=op.f("ck_deliveries_status")),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name="fk_deliveries_room_id_rooms", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_deliveries_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_deliveries_room_id_last_seq", "deliveries", ["room_id", "last_seq"])
    for column in ("user_id", "at"):
        op.create_index(f"ix_deliveries_{column}", "deliveries", [column])
