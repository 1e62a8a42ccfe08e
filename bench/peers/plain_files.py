"""A peer: bare aiohttp on uvloop, a body streamed to disk as it comes, and a file given back from there. No checks.

`PUT /file?durable` answers when the disk has it, as Chatty does.
"""

import os
import sys
import tempfile
from pathlib import Path

import uvloop
from aiohttp import web

PLACE = Path(tempfile.mkdtemp())


async def take(request: web.Request) -> web.Response:
    with (PLACE / "file").open("wb") as file:
        async for chunk in request.content.iter_any():
            file.write(chunk)
        if "durable" in request.query:
            file.flush()
            os.fsync(file.fileno())
    return web.json_response({"size": (PLACE / "file").stat().st_size})


async def give(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PLACE / "file")


async def well(request: web.Request) -> web.Response:
    return web.Response()


app = web.Application(client_max_size=2**40)
app.router.add_get("/healthz", well)
app.router.add_put("/file", take)
app.router.add_get("/file", give)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
