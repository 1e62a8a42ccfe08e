// Two people talk, each through a stock client: node conversation.mjs URL
import { io } from "socket.io-client";

const url = process.argv[2];
const post = async (path, body, token) => {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${url}/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};
const join = (name) =>
  post("/auth/register", { email: `${name}@example.com`, password: "a cold morning", nickname: name, session: "token" });
const connect = async (person) => {
  const socket = io(`${url}/chat`, { auth: { token: person.access_token } });
  socket.transports = [];
  socket.io.engine.on("upgrade", (transport) => socket.transports.push(transport.name));
  socket.on("connect", () => socket.transports.unshift("polling"));
  socket.heard = [];
  socket.on("message_sent", (message) => socket.heard.push(message));
  await new Promise((resolve, reject) => socket.on("ready", resolve).on("connect_error", reject));
  return socket;
};
const until = async (condition) => {
  for (let tries = 0; tries < 250 && !condition(); tries++) await new Promise((resolve) => setTimeout(resolve, 20));
  if (!condition()) throw new Error(`gave up waiting for ${condition}`);
};

const [anna, boris] = [await join("anna"), await join("boris")];
const room = await post("/rooms", { kind: "direct", user_id: boris.user.id }, anna.access_token);
const [annas, boriss] = [await connect(anna), await connect(boris)];
await until(() => annas.transports.includes("websocket"));
await annas.emitWithAck("send_message", { room_id: room.id, client_id: crypto.randomUUID(), text: "Hello, Boris!" });
await until(() => boriss.heard.length === 1);
await boriss.emitWithAck("send_message", { room_id: room.id, client_id: crypto.randomUUID(), text: "반가워요, Anna!" });
await until(() => annas.heard.length === 1);
const history = await fetch(`${url}/api/v1/rooms/${room.id}/messages`, {
  headers: { Authorization: `Bearer ${anna.access_token}` },
}).then((answer) => answer.json());
console.log(
  JSON.stringify({ anna: annas.heard, boris: boriss.heard, history: history.items, transports: annas.transports }),
);
annas.disconnect();
boriss.disconnect();
