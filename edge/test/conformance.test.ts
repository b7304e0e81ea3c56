// rooms/conformance on the Durable Object host: starts the worker and runs the Go tests of this folder,
// which drive it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Host, patience } from "./harness.ts";

let host: Host;
before(async () => {
  host = await Host.start();
}, patience);
after(() => host.stop());

/** What only the harness can do, for the Go tests. */
const harness = createServer((request, response) => {
  const url = new URL(request.url ?? "", "http://harness");
  host.sleep(url.searchParams.get("name") ?? "", "Kit").then(
    () => response.end("{}"),
    // An object that sleeps already sleeps.
    (fault) => response.writeHead(String(fault).includes("not currently running") ? 200 : 500).end(String(fault)),
  );
});

/** What cannot happen here: the store is never away or short of words, and the platform replaces what is not UTF-8. */
const spared = [
  "a_room_knows_that_the_store_is_away",
  "a_malformed_event_never_reaches_the_room",
  "pages_of_a_list_join",
];

test("the conformance suite, from Go", { timeout: 300_000 }, async () => {
  await new Promise<void>((resolve) => harness.listen(0, "127.0.0.1", resolve));
  try {
    const go = spawn("go", ["test", "-count=1", "-v", "."], {
      cwd: fileURLToPath(new URL(".", import.meta.url)),
      env: {
        ...process.env,
        ORIEL_TEST_WORKER: host.at("").origin,
        ORIEL_TEST_HARNESS: `http://127.0.0.1:${(harness.address() as AddressInfo).port}`,
      },
    });
    let out = "";
    for (const stream of [go.stdout, go.stderr]) stream.on("data", (text) => (out += text));
    const [code] = await once(go, "close");
    assert.equal(code, 0, out);
    const skipped = Array.from(out.matchAll(/--- SKIP: [^ ]*\/([^ /]+) /g), (m) => m[1]);
    assert.deepEqual(skipped, spared);
    console.log(`edge_conformance ${out.match(/^ +--- PASS/gm)?.length} tests of the suite`);
    if (process.env.ORIEL_VERBOSE) console.log(out);
  } finally {
    harness.close();
  }
});
