// Copies the parts of Swagger UI that /docs shows to where the service finds them: the page works with no CDN.
import { copyFile, mkdir, rm } from "node:fs/promises";

const from = new URL("node_modules/swagger-ui-dist/", import.meta.url);
const to = new URL("../src/static/vendor/swagger-ui/", import.meta.url);
const files = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "LICENSE", "NOTICE"];

await rm(to, { recursive: true, force: true });
await mkdir(to, { recursive: true });
await Promise.all(files.map((file) => copyFile(new URL(file, from), new URL(file, to))));
