// Boris hears of a message of Anna's on one device, and marks it read on another: node notifications.mjs URL
import { io } from "socket.io-client";

const url = process.argv[2];
const ask = async (method, path, person, body) => {
  const headers = { "Content-Type": "application/json", ...(person && { Authorization: `Bearer ${person.access_token}` }) };
  const answer = await fetch(`${url}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};
const join = (name) =>
  ask("POST", "/auth/register", null, {
    email: `${name}@example.com`, password: "a cold morning", nickname: name, session: "token",
  });
const connect = async (person) => {
  const socket = io(`${url}/notifications`, { auth: { token: person.access_token }, transports: ["websocket"] });
  socket.created = [];
  socket.read = [];
  socket.on("notification_created", (notification) => socket.created.push(notification));
  socket.on("notifications_read", (read) => socket.read.push(read));
  await new Promise((resolve, reject) => socket.on("connect", resolve).on("connect_error", reject));
  await socket.emitWithAck("mark_notifications_read", { ids: [] });
  return socket;
};
const until = async (condition) => {
  for (let tries = 0; tries < 250 && !condition(); tries++) await new Promise((resolve) => setTimeout(resolve, 20));
  if (!condition()) throw new Error(`gave up waiting for ${condition}`);
};

const [anna, boris] = [await join("anna"), await join("boris")];
const room = await ask("POST", "/rooms", anna, { kind: "direct", user_id: boris.user.id });
const [phone, laptop] = [await connect(boris), await connect(boris)];
const draft = { client_id: crypto.randomUUID(), text: "Hello, Boris!" };
await ask("POST", `/rooms/${room.id}/messages`, anna, draft);
await until(() => phone.created.length && laptop.created.length);
const answer = await laptop.emitWithAck("mark_notifications_read", { ids: [room.id] });
await until(() => phone.read.length);
const { items } = await ask("GET", "/notifications?unread=1", boris);
console.log(JSON.stringify({ created: phone.created, read: phone.read, answer, unread: answer.unread, listed: items }));
phone.disconnect();
laptop.disconnect();
