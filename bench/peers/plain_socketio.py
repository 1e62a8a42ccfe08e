"""A peer: stock python-socketio on aiohttp and uvloop, as its documentation shows it, without accounts or checks."""

import sys

import socketio
import uvloop
from aiohttp import web

sio = socketio.AsyncServer(async_mode="aiohttp")
app = web.Application()
sio.attach(app)


@sio.on("connect", namespace="/chat")
async def connect(sid, environ, auth):
    await sio.emit("ready", {}, to=sid, namespace="/chat")


@sio.on("no_such_event", namespace="/chat")
async def event(sid, payload):
    return {"ok": True}


async def alive(request):
    return web.Response()


app.router.add_get("/healthz", alive)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
