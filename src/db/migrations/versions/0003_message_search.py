"""Messages can be searched

The lines that are there are indexed too, by the program's own function: an index made by another would not be found in.
"""

from importlib import import_module
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FTS5 = """
CREATE VIRTUAL TABLE search_index USING fts5(
    grams, content = '', columnsize = 0, prefix = '1',
    tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'"
)
"""
_GIN = "CREATE INDEX ix_search_lines_words ON search_lines USING gin (words) WITH (gin_pending_list_limit = 512)"
_AT_ONCE = 1000
_TO_BE_FOUND = sa.text(
    "SELECT id, room_id, seq, sender_id, text FROM messages"
    " WHERE id > :after AND text IS NOT NULL AND deleted_at IS NULL AND kind <> 'system' ORDER BY id LIMIT :at_once"
)
_TO_BE_FOUND = _TO_BE_FOUND.bindparams(sa.bindparam("after", type_=sa.Uuid()), at_once=_AT_ONCE)


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "search_lines",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_search_lines"),
        sa.UniqueConstraint("message_id", name="uq_search_lines_message_id"),
        sqlite_autoincrement=True,
    )
    op.execute(f"ALTER TABLE search_lines ADD COLUMN words {'TEXT' if sqlite else 'TSVECTOR'}")
    op.create_index("ix_search_lines_room_id_number", "search_lines", ["room_id", "number"])
    op.execute(_FTS5 if sqlite else _GIN)
    _index_what_is_there(sqlite)


def _index_what_is_there(sqlite: bool) -> None:
    models = context.config.get_main_option("metadata") or "src.db.models:"
    rows = import_module(f"{models.partition(':')[0].rpartition('.')[0]}.search_rows")
    columns = {name: sa.Uuid() for name in ("id", "room_id", "sender_id")}
    ask = _TO_BE_FOUND.columns(**columns, seq=sa.BigInteger(), text=sa.Text())
    last = UUID(int=0)
    while lines := op.get_bind().execute(ask, {"after": last}).all():
        last = lines[-1].id
        for line in lines:
            _add(rows, rows.Findable(line.id, line.room_id, line.seq, line.sender_id, line.text), sqlite)


def _add(rows: Any, line: Any, sqlite: bool) -> None:
    insert = sa.insert(_table()).values(
        message_id=line.message_id,
        room_id=line.room_id,
        seq=line.seq,
        **({} if sqlite else {"words": sa.cast(rows.vector(line), _TsVector())}),
    )
    number: int = op.get_bind().execute(insert.returning(sa.column("number"))).scalar_one()
    if sqlite:
        index = sa.text("INSERT INTO search_index (rowid, grams) VALUES (:number, :grams)")
        op.get_bind().execute(index, {"number": number, "grams": rows.tokens(line)})


class _TsVector(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TSVECTOR"


def _table() -> sa.TableClause:
    ids = [sa.column(name, sa.Uuid()) for name in ("message_id", "room_id")]
    return sa.table("search_lines", sa.column("number"), *ids, sa.column("seq"), sa.column("words", _TsVector()))
