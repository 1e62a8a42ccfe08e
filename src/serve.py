"""Running the service: the event loop, the listening socket, a graceful end."""

import asyncio
import gc
import signal
import sys

import structlog
from aiohttp import web

from .app import create_app
from .config import Settings
from .logs import configure as configure_logs
from .storage_url import without_credentials

log = structlog.get_logger("chatty.serve")

SHUTDOWN_SECONDS = 5
YOUNG_OBJECTS = 50_000


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, on uvloop where there is one. Raises SystemExit, with a sentence, if it cannot."""
    configure_logs(settings)
    for doubt in settings.doubts:
        log.warning(doubt)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings))


def runner_for(settings: Settings) -> web.AppRunner:
    """The service and how HTTP reaches it, the same for whoever runs it."""
    return web.AppRunner(
        create_app(settings),
        access_log=None,
        handle_signals=False,
        auto_decompress=False,
        keepalive_timeout=75,
        lingering_time=2,  # for what a refused client still owes of its body
        shutdown_timeout=SHUTDOWN_SECONDS,
    )


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop  # type: ignore[return-value]


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    runner = runner_for(settings)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
        await _listen(site, settings)
        _calm_the_collector()
        print(_banner(settings), flush=True)  # noqa: T201 - to the person who started it, beside the log
        await stop.wait()
    finally:
        await runner.cleanup()


def _calm_the_collector() -> None:
    """What was imported stays; and of what is new, hardly anything forms cycles: looking for them took a tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


async def _listen(site: web.TCPSite, settings: Settings) -> None:
    try:
        await site.start()
    except OSError as error:
        raise SystemExit(
            f"chatty: cannot listen on {settings.host}:{settings.port} ({error.strerror}). Stop what uses the port, "
            "or set CHATTY_PORT to another."
        ) from None


def _banner(settings: Settings) -> str:
    database = settings.database_url.partition(":///")[2] if settings.is_sqlite else "PostgreSQL"
    files = without_credentials(settings.storage_url)
    return "\n".join(
        (
            "",
            f"  Chatty is running at {settings.public_url}  (contracts: {settings.public_url}/docs)",
            f"  Data: {database}   Files: {files}   Secrets and mail: {settings.data_dir}/",
            "  Stop it with Ctrl+C.",
            "",
        )
    )
