"""Alembic's entry. It cannot import relatively, so the configuration names the metadata and gives the connection."""

import pkgutil
from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, create_engine, pool

config = context.config
metadata = pkgutil.resolve_name(config.get_main_option("metadata") or "src.db.models:Base.metadata")


def plain_type(kind: str, item: Any, context: Any) -> str | Literal[False]:
    """Write our own column types as what they are in the database: a migration must not change with the code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and type(item).__name__ == "UtcDateTime" else False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
        compare_type=True,
        render_item=plain_type,
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine("sqlite:///var/chatty.db", poolclass=pool.NullPool).connect() as own:
        run(own)
        own.commit()
