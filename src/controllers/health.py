"""`/healthz`: the process runs. `/readyz`: it can serve, so a balancer may send people here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

import structlog
from aiohttp import web

from ..errors import FieldError, Unavailable

CHECK_SECONDS = 3
KEEP_SECONDS = 1
Check = Callable[[], Awaitable[None]]

log = structlog.get_logger("chatty.health")


def mount_health(app: web.Application, checks: Mapping[str, Check]) -> None:
    """Serve both. `checks`: by name, what must hold for `/readyz`; each raises if it does not."""

    readiness = Readiness(checks)

    async def alive(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(request: web.Request) -> web.Response:
        await readiness.refuse_unless_ready()
        return web.json_response({"status": "ok", "checks": dict.fromkeys(checks, "ok")})

    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)


class Readiness:
    """The answer of `checks`, as it was at most KEEP_SECONDS ago: whoever asks, and however often, costs one round."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._round: asyncio.Task[list[str]] | None = None
        self._fresh_until = 0.0

    async def refuse_unless_ready(self) -> None:
        """Raises Unavailable that names the checks that failed, and nothing of why."""
        if self._round is None or (self._round.done() and monotonic() >= self._fresh_until):
            self._round = asyncio.create_task(self._run())
        missing = await asyncio.shield(self._round)
        if missing:
            raise Unavailable(
                f"Not ready: {', '.join(missing)}.",
                errors=[FieldError(name, "unavailable", "does not answer as it should") for name in missing],
                retry_after_ms=1000,
            )

    async def _run(self) -> list[str]:
        """Run all checks at once; the names of those that failed."""
        passed = await asyncio.gather(*(_passes(name, check) for name, check in self._checks.items()))
        self._fresh_until = monotonic() + KEEP_SECONDS
        return [name for name, ok in zip(self._checks, passed, strict=True) if not ok]


async def _passes(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception as error:  # whatever it is, the answer is "not ready"
        log.warning("not ready", check=name, reason=type(error).__name__)
        return False
    return True
