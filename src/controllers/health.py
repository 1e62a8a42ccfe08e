"""`/healthz`: the process runs. `/readyz`: it can serve, so a balancer may send people here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web

from ..errors import FieldError, Unavailable

CHECK_SECONDS = 3
Check = Callable[[], Awaitable[None]]

log = structlog.get_logger("chatty.health")


class HealthController:
    """`checks`: by name, what must hold for `/readyz`; each raises if it does not."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    def mount(self, app: web.Application) -> None:
        app.router.add_get("/healthz", self.alive)
        app.router.add_get("/readyz", self.ready)

    async def alive(self, request: web.Request) -> web.Response:
        """200 `{"status":"ok"}` as long as the event loop turns."""
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """200 with each check's name, or a 503 problem that names what is missing and nothing of why."""
        passed = await asyncio.gather(*(self._passes(name) for name in self._checks))
        missing = [name for name, ok in zip(self._checks, passed, strict=True) if not ok]
        if missing:
            raise Unavailable(
                f"Not ready: {', '.join(missing)}.",
                errors=[FieldError(name, "unavailable", "does not answer as it should") for name in missing],
                retry_after_ms=1000,
            )
        return web.json_response({"status": "ok", "checks": dict.fromkeys(self._checks, "ok")})

    async def _passes(self, name: str) -> bool:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._checks[name]()
        except Exception as error:  # whatever it is, the answer is "not ready"
            log.warning("not ready", check=name, reason=type(error).__name__)
            return False
        return True
