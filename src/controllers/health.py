"""`/healthz`: the process runs. `/readyz`: it can serve, so a balancer may send people here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web

from ..errors import FieldError, Unavailable

CHECK_SECONDS = 3
Check = Callable[[], Awaitable[None]]

log = structlog.get_logger("chatty.health")


def mount_health(app: web.Application, checks: Mapping[str, Check]) -> None:
    """Serve both. `checks`: by name, what must hold for `/readyz`; each raises if it does not."""

    async def alive(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(request: web.Request) -> web.Response:
        await refuse_unless_ready(checks)
        return web.json_response({"status": "ok", "checks": dict.fromkeys(checks, "ok")})

    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)


async def refuse_unless_ready(checks: Mapping[str, Check]) -> None:
    """Run all checks at once. Raises Unavailable that names those that failed, and nothing of why."""
    passed = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
    missing = [name for name, ok in zip(checks, passed, strict=True) if not ok]
    if missing:
        raise Unavailable(
            f"Not ready: {', '.join(missing)}.",
            errors=[FieldError(name, "unavailable", "does not answer as it should") for name in missing],
            retry_after_ms=1000,
        )


async def _passes(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception as error:  # whatever it is, the answer is "not ready"
        log.warning("not ready", check=name, reason=type(error).__name__)
        return False
    return True
