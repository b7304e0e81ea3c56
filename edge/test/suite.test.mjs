// The TypeScript client's own suite, unchanged, against `wrangler dev`.

import { after } from "node:test";
import { fileURLToPath } from "node:url";

process.env.ORIEL_BIN = fileURLToPath(new URL("./oriel.sh", import.meta.url));
const { Server } = await import("../../selfhost/page/test/server.mjs");
const server = new Server();
await server.start();
process.env.ORIEL_URL = server.url;
await import("../../rooms/client/ts/test/suite.test.ts");
after(() => server.remove()); // behind the suite's own: its clients close first
