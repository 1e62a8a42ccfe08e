"""One index finds what somebody sent before

The index of senders alone is gone: on a table that has just begun, a planner took it for as good as the unique one, and
read all that somebody had ever written to find one line of it.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = ["sender_id", "client_id", "room_id"]


def upgrade() -> None:
    op.drop_index("ix_messages_sender_id", "messages")
    with op.batch_alter_table("messages") as messages:
        messages.drop_constraint("uq_messages_room_id_sender_id_client_id", type_="unique")
        messages.create_unique_constraint("uq_messages_sender_id_client_id_room_id", _COLUMNS)
