"""The `chatty` command. In a checkout: `python -m src`."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any
from uuid import UUID

import typer
from pydantic import ValidationError

from .config import Settings
from .errors import Unavailable

cli = typer.Typer(
    help="Chatty, a self-hosted chat service. Settings come from CHATTY_* variables and .env; see .env.example.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
files = typer.Typer(help="The files that people have sent.", no_args_is_help=True)
cli.add_typer(files, name="files")


def main() -> None:
    """Run the command that the arguments name. What it writes is for its own user: messages, hashes, secrets, mails."""
    os.umask(0o077)
    try:
        cli()
    except SystemExit as end:
        if "obstore" in sys.modules:
            _leave(end.code)
        raise


def _leave(code: str | int | None) -> None:
    """End at once: a thread of the S3 client that meets Python's own end aborts the process."""
    if isinstance(code, str):
        print(code, file=sys.stderr)  # noqa: T201 - as Python itself says it
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


@cli.command()
def serve(
    migrate_first: Annotated[bool, typer.Option("--migrate", help="Bring the database up to date first.")] = False,
) -> None:
    """Start the service and run until Ctrl+C or SIGTERM."""
    from .db import migrate as migrations
    from .serve import run

    settings = _settings()
    with _in_sentences(), _alone(settings):
        if migrate_first:
            migrations.upgrade(settings.database_url)
        run(settings)


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema. Safe to repeat."""
    from .db import migrate as migrations

    with _in_sentences():
        migrations.upgrade(_settings().database_url)
    typer.echo(f"The database is at migration {migrations.newest()}.")


@cli.command()
def demo() -> None:
    """Fill the database with people, friendships and messages in Korean and English, and print the logins."""
    from .demo import fill

    settings = _settings()
    if settings.env == "production":
        typer.secho("chatty: the demo's passwords are public: not with CHATTY_ENV=production.", fg="red", err=True)
        raise typer.Exit(2)
    with _in_sentences():
        fill(settings)


@files.command()
def check(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
) -> None:
    """Hold the rows of files against what is stored. Ends with 1 where they do not agree."""
    from .file_report import report

    settings = _settings()
    with _in_sentences():
        sound = report(settings, repair)
    raise typer.Exit(0 if sound else 1)


@cli.command()
def vapid_keys() -> None:
    """Print a new key for Web Push, ready for .env; nothing is changed. Without one, it follows from CHATTY_SECRET_KEY.

    Changing the key invalidates every subscription: nobody gets pushes until their browser has subscribed anew.
    """
    from .push.vapid import VapidKey

    key = VapidKey.generate()
    typer.echo(f"# The public key that belongs to it, which browsers are given: {key.public_key}")
    typer.echo(f"CHATTY_NOTIFICATIONS__VAPID_PRIVATE_KEY={key.private_text}")


@cli.command()
def why(message: Annotated[UUID, typer.Argument(help="Its id.")], person: Annotated[str, typer.Argument()]) -> None:
    """Why somebody, by id or e-mail address, was told of a message or not. Ends with 1 if there is none such."""
    from .why_report import explain

    settings = _settings()
    with _in_sentences():
        found = explain(settings, message, person)
    raise typer.Exit(0 if found else 1)


@cli.command()
def bounced(addresses: Annotated[list[str], typer.Argument(help="As the mail that came back names them.")]) -> None:
    """Mark addresses at which mail came back: no digests go there until they are verified anew.

    For the bounce script of a mail server. Which addresses are known here is not said, only how many.
    """
    from .bounce_report import mark

    settings = _settings()
    with _in_sentences():
        mark(settings, addresses)


@cli.command()
def openapi() -> None:
    """Print the REST contract, an OpenAPI 3.1 document."""
    from .app import openapi as document

    _print_json(document)


@cli.command()
def asyncapi() -> None:
    """Print the Socket.IO contract, an AsyncAPI 3 document."""
    from .app import asyncapi as document

    _print_json(document)


def _settings() -> Settings:
    """The settings, or an end with one sentence for each that is wrong, without the values: one may be a secret."""
    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            field = ".".join(str(part) for part in problem["loc"])
            name = f"CHATTY_{field.upper()}: " if field else ""
            typer.secho(f"chatty: {name}{problem['msg'].removeprefix('Value error, ')}", fg="red", err=True)
        raise typer.Exit(2) from None


@contextlib.contextmanager
def _in_sentences() -> Iterator[None]:
    """End with a sentence, not with frames, where the world is not as the settings say."""
    try:
        yield
    except Unavailable as error:
        cause = getattr(error.__cause__, "orig", None) or error.__cause__ or error
        typer.secho(f"chatty: the database cannot be reached ({cause}). See CHATTY_DATABASE_URL.", fg="red", err=True)
    except OSError as error:
        typer.secho(f"chatty: {_about(error)}", fg="red", err=True)
    else:
        return
    raise typer.Exit(2)


def _about(error: OSError) -> str:
    """What a file's error or, where no file is to blame, the storage's means to whoever runs the service."""
    if error.filename is None:
        return f"the storage fails ({error}). See CHATTY_STORAGE_URL."
    return f"{error.strerror}: {error.filename}. See CHATTY_DATA_DIR."


def _print_json(document: Callable[[], dict[str, Any]]) -> None:
    json.dump(document(), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the data directory's lock: two processes on one SQLite file would not hear of each other's messages."""
    if not settings.is_sqlite or sys.platform == "win32":
        yield
        return
    path = Path(settings.database_url.partition(":///")[2] + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        _lock_or_exit(lock, path)
        yield


def _lock_or_exit(lock: IO[str], path: Path) -> None:
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        typer.secho(
            f"chatty: another process serves this SQLite database ({path.with_suffix('')}). Stop it first.",
            fg="red",
            err=True,
        )
        raise typer.Exit(2) from None


if __name__ == "__main__":
    main()
