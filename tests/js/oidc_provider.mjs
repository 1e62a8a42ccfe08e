// node oidc_provider.mjs <clients.json>: the certified oidc-provider on a free loopback port, until its stdin ends.
// Prints {"issuer"}. PUT /_people takes an account {sub, name?, email?, ...}, PUT /_picture the picture that all have;
// POST /google/revoke is Google's way.
import { once } from "node:events";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const CLAIMS = { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "picture", "locale"] };
const people = new Map();
const revoked = [];
let picture = null;
const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: JSON.parse(process.argv[2]),
  claims: CLAIMS,
  conformIdTokenClaims: false,
  cookies: { keys: ["of the tests"] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
  issueRefreshToken: async () => true,
  findAccount: (_, id) => people.has(id) && { accountId: id, claims: () => people.get(id) },
  ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 3600, RefreshToken: 3600, Session: 3600 },
});
provider.on("grant.revoked", (_, grantId) => revoked.push(grantId));
provider.on("server_error", (_, error) => console.error(error));

const body = async (request) => Buffer.concat(await request.toArray()).toString();
const found = async (token) => (await provider.RefreshToken.find(token)) ?? (await provider.AccessToken.find(token));

const own = {
  "PUT /_people": async (request) => {
    const person = JSON.parse(await body(request));
    people.set(person.sub, person);
    return [200, {}];
  },
  "PUT /_picture": async (request) => {
    picture = Buffer.concat(await request.toArray());
    return [200, {}];
  },
  "GET /_picture": async () => [200, picture],
  "GET /_grants": async () => [200, { revoked }],
  "POST /google/revoke": async (request) => {
    const given = new URLSearchParams((await body(request)) || request.url.split("?")[1]);
    const token = await found(given.get("token"));
    if (!token) return [400, { error: "invalid_token", error_description: "Token expired or revoked" }];
    await provider.AccessToken.revokeByGrantId(token.grantId);
    await provider.RefreshToken.revokeByGrantId(token.grantId);
    revoked.push(token.grantId);
    return [200, {}];
  },
};
const standard = provider.callback();
server.on("request", async (request, response) => {
  const answer = own[`${request.method} ${request.url.split("?")[0]}`];
  if (!answer) return standard(request, response);
  const [status, content] = await answer(request);
  if (Buffer.isBuffer(content)) return response.writeHead(status, { "Content-Type": "image/png" }).end(content);
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(content));
});
console.log(JSON.stringify({ issuer }));
process.stdin.resume().on("end", () => process.exit(0));
