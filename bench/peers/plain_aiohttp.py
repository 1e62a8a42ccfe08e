"""A peer: bare aiohttp on uvloop, one constant JSON answer to everything. The ceiling of any service on aiohttp."""

import sys

import uvloop
from aiohttp import web

ANSWER = {"id": "019f0000-0000-7000-8000-000000000000", "nickname": "Anna", "intro": "", "avatar_url": None}


async def answer(request: web.Request) -> web.Response:
    return web.json_response(ANSWER)


app = web.Application()
app.router.add_get("/{path:.*}", answer)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
