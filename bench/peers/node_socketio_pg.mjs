// A peer: Node's own Socket.IO with PostgreSQL, plainly written. One INSERT for each message through a pool, then an
// emit to the room and the acknowledgement. No accounts, no membership, no idempotency, no order but the table's.
//
// node node_socketio_pg.mjs <port> <postgres url>; the token that a client gives is "<name> <room> <room> …".

import { createServer } from "node:http";
import pg from "pg";
import { Server } from "socket.io";

const [port, url] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: 16 });
await pool.query(`CREATE TABLE IF NOT EXISTS messages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, room text NOT NULL, sender text NOT NULL, client_id uuid NOT NULL,
  text text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())`);

const http = createServer((request, response) => response.end());
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false });

io.of("/chat").on("connection", (socket) => {
  const [name, ...rooms] = socket.handshake.auth.token.split(" ");
  socket.join(rooms);
  socket.on("send_message", async ({ room_id, client_id, text }, acknowledge) => {
    try {
      const { rows } = await pool.query({
        name: "store",
        text: "INSERT INTO messages (room, sender, client_id, text) VALUES ($1, $2, $3, $4) RETURNING id, created_at",
        values: [room_id, name, client_id, text],
      });
      const message = { id: rows[0].id, room_id, sender: name, client_id, text, created_at: rows[0].created_at };
      socket.to(room_id).emit("message_sent", message);
      acknowledge({ ok: true, message });
    } catch (error) {
      acknowledge({ ok: false, error: { code: "unavailable", detail: String(error) } });
    }
  });
  socket.emit("ready", {});
});

http.listen(Number(port), "127.0.0.1");
