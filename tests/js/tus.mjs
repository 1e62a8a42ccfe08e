// The stock tus client: node tus.mjs SCENARIO URL TOKEN FILE … prints what happened as one JSON line.
//   cut URL TOKEN FILE ROOM SERVICE: a proxy at URL cuts the first connection that has carried a third of the file.
//   freeze URL TOKEN FILE ROOM SERVICE: it carries nothing more of what the client says on it, as in a tunnel.
//   resume URL TOKEN FILE UPLOAD: goes on with what another has begun.
import { createReadStream, statSync } from "node:fs";
import { connect, createServer } from "node:net";
import * as tus from "tus-js-client";

const [scenario, url, token, path, ...rest] = process.argv.slice(2);
const size = statSync(path).size;
const told = { cuts: 0, offsets: [], fileId: null, upload: null };

function proxy(service) {
  const server = createServer((client) => {
    const behind = connect(Number(new URL(service).port), "127.0.0.1");
    let carried = 0;
    let frozen = false;
    for (const [one, other] of [[client, behind], [behind, client]]) {
      one.on("error", () => {});
      one.on("close", () => other.destroy());
    }
    behind.on("data", (data) => client.write(data));
    client.on("data", (data) => {
      if (frozen) return;
      behind.write(data);
      carried += data.length;
      if (told.cuts || carried < size / 3) return;
      told.cuts++;
      frozen = scenario === "freeze";
      if (!frozen) client.destroy();
    });
  });
  return new Promise((resolve) => server.listen(Number(new URL(url).port), "127.0.0.1", resolve));
}

const send = (where) =>
  new Promise((resolve, reject) => {
    const upload = new tus.Upload(createReadStream(path), {
      ...where,
      uploadSize: size,
      chunkSize: Infinity,
      retryDelays: [200, 400, 800, 1600],
      headers: { Authorization: `Bearer ${token}` },
      metadata: { filename: "film 강릉.bin", filetype: "application/octet-stream" },
      onBeforeRequest(request) {
        if (request.getMethod() === "PATCH") told.offsets.push(Number(request.getHeader("Upload-Offset")));
      },
      onAfterResponse(request, response) {
        told.fileId = response.getHeader("Chatty-File-Id") ?? told.fileId;
      },
      onSuccess: () => resolve(upload.url),
      onError: reject,
    });
    upload.start();
  });

if (scenario === "cut" || scenario === "freeze") {
  const [room, service] = rest;
  await proxy(service);
  told.upload = await send({ endpoint: `${url}/api/v1/rooms/${room}/uploads` });
} else {
  told.upload = await send({ uploadUrl: rest[0] });
}
console.log(JSON.stringify(told));
process.exit(0);
