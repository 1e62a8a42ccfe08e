// The stock client against the socket server: node realtime.mjs URL SCENARIO, prints what happened as one JSON line.
import { io } from "socket.io-client";

const [url, scenario] = process.argv.slice(2);
const once = (socket, event) => new Promise((resolve) => socket.once(event, resolve));
const until = async (condition) => {
  for (let tries = 0; tries < 250 && !condition(); tries++) await new Promise((resolve) => setTimeout(resolve, 20));
  if (!condition()) throw new Error(`gave up waiting for ${condition}`);
};
const say = (result) => console.log(JSON.stringify(result));
const auth = { token: "anna" };

const scenarios = {
  async upgrade() {
    const chat = io(`${url}/chat`, { auth });
    const names = [chat.io.engine.transport.name];
    const ready = once(chat, "ready");
    const first = await ready;
    await until(() => chat.io.engine.transport.name === "websocket");
    names.push(chat.io.engine.transport.name);
    say({ names, greeted: Boolean(first), echo: await chat.emitWithAck("echo", { text: "안녕 👋" }) });
    chat.disconnect();
  },

  async refused() {
    const results = {};
    for (const token of ["late", "nobody", undefined]) {
      const chat = io(`${url}/chat`, { auth: { token }, forceNew: true });
      const error = await once(chat, "connect_error");
      results[token ?? "none"] = { data: error.data, message: error.message };
      chat.disconnect();
    }
    say(results);
  },

  async namespaces() {
    const chat = io(`${url}/chat`, { auth });
    const notifications = io(`${url}/notifications`, { auth });
    const news = once(notifications, "news");
    await Promise.all([once(chat, "ready"), once(notifications, "connect")]);
    say({ shared: chat.io === notifications.io, news: await news });
    notifications.disconnect();
    const echo = await chat.emitWithAck("echo", { text: "the other one stays" });
    notifications.connect();
    await once(notifications, "connect");
    say({ echo, again: notifications.connected });
    chat.disconnect();
    notifications.disconnect();
  },

  async polling() {
    const chat = io(`${url}/chat`, { auth, transports: ["polling"] });
    const news = once(chat, "news");
    await once(chat, "ready");
    const long = "가".repeat(15000);
    const answers = await Promise.all([
      ...Array.from({ length: 100 }, (_, n) => chat.emitWithAck("echo", { text: String(n) })),
      chat.emitWithAck("echo", { text: long }),
    ]);
    say({
      transport: chat.io.engine.transport.name,
      texts: answers.slice(0, 100).map((answer) => answer.text),
      long: answers[100].text === long,
      news: await news,
    });
    chat.disconnect();
  },

  async binary() {
    const chat = io(`${url}/chat`, { auth, transports: ["websocket"] });
    await once(chat, "ready");
    const refused = await chat.emitWithAck("echo", { text: Buffer.from("bytes") }, new Uint8Array(9));
    say({ refused, echo: await chat.emitWithAck("echo", { text: "fine" }) });
    chat.disconnect();
  },

  async kicked() {
    const chat = io(`${url}/chat`, { auth });
    const reason = await once(chat, "disconnect");
    await new Promise((resolve) => setTimeout(resolve, 300));
    say({ reason, active: chat.active });
    chat.disconnect();
  },

  async shutdown() {
    const chat = io(`${url}/chat`, { auth });
    await once(chat, "ready");
    await until(() => chat.io.engine.transport.name === "websocket");
    say({ reason: await once(chat, "disconnect"), active: chat.active });
    chat.disconnect();
  },
};

await scenarios[scenario]();
