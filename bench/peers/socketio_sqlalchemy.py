"""A peer: python-socketio, SQLAlchemy's ORM and asyncpg on uvloop, one transaction for each message, plainly written.

No accounts, no membership, no idempotency. The token that a client gives is "<name> <room> <room> …".
"""

import sys
from datetime import datetime

import socketio
import uvloop
from aiohttp import web
from sqlalchemy import func
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(sys.argv[2].replace("postgresql://", "postgresql+asyncpg://"), pool_size=16)
Session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    room: Mapped[str]
    sender: Mapped[str]
    client_id: Mapped[str]
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


sio = socketio.AsyncServer(async_mode="aiohttp")
app = web.Application()
sio.attach(app)


@sio.on("connect", namespace="/chat")
async def connect(sid, environ, auth):
    name, *rooms = auth["token"].split(" ")
    await sio.save_session(sid, {"name": name}, namespace="/chat")
    for room in rooms:
        await sio.enter_room(sid, room, namespace="/chat")
    await sio.emit("ready", {}, to=sid, namespace="/chat")


@sio.on("send_message", namespace="/chat")
async def send_message(sid, payload):
    name = (await sio.get_session(sid, namespace="/chat"))["name"]
    async with Session.begin() as session:
        row = Message(room=payload["room_id"], sender=name, client_id=payload["client_id"], text=payload["text"])
        session.add(row)
    message = {"id": row.id, "room_id": row.room, "sender": name, "client_id": row.client_id, "text": row.text}
    message["created_at"] = row.created_at.isoformat()
    await sio.emit("message_sent", message, room=row.room, skip_sid=sid, namespace="/chat")
    return {"ok": True, "message": message}


async def prepare(app):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


async def alive(request):
    return web.Response()


app.on_startup.append(prepare)
app.router.add_get("/healthz", alive)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
