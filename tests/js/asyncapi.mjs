// node asyncapi.mjs <file>: what AsyncAPI's own parser says of a document; hints below a warning left out.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(await readFile(process.argv[2], "utf8"));
const found = diagnostics.filter(({ severity }) => severity <= 1).map(({ code, message, path }) => ({ code, message, path }));
console.log(JSON.stringify({ valid: document !== undefined, diagnostics: found }));
