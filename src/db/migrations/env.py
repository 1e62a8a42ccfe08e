"""Alembic's entry. It cannot import relatively, so the configuration names the metadata and gives the connection."""

import pkgutil

from alembic import context
from sqlalchemy import Connection, create_engine, pool

config = context.config
metadata = pkgutil.resolve_name(config.get_main_option("metadata") or "src.db.models:Base.metadata")


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = config.get_main_option("sqlalchemy.url") or "sqlite:///var/chatty.db"
    with create_engine(url, poolclass=pool.NullPool).connect() as own:
        run(own)
