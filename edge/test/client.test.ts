// The TypeScript client against the edge worker: what it publishes while the room sleeps, and while the
// platform drops its sockets, arrives once and in order.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "../../rooms/client/ts/src/index.ts";
import { appWorker, Host, patience } from "./harness.ts";

let host: Host;
before(async () => {
  host = await Host.start(appWorker);
}, patience);
after(() => host.stop());

function client(room: string, user: string): Client {
  const credential = async () => {
    const r = await fetch(host.at(`/v1/dev/token?user=${user}`));
    return ((await r.json()) as { token: string }).token;
  };
  return new Client({ url: host.at("/"), kind: "chat", room, credential, backoff: { base: 20, max: 200 } });
}

test("through sleep and dropped sockets, once and in order", async (t) => {
  const ann = client("client", "ann");
  const bob = client("client", "bob");
  // However it ends: a client that is open connects again for ever, and the process would not end.
  t.after(() => Promise.all([ann.close(), bob.close()]));
  const seen: string[] = [];
  const want = ["here"];
  for (let i = 0; i < 12; i++) want.push(`message ${i}`);
  const all = new Promise<void>((resolve) => {
    bob.on("event", (e) => {
      seen.push((e.data as { text: string }).text);
      if (seen.length === want.length) resolve();
    });
  });
  ann.open();
  bob.open();
  await bob.publish("message", { text: "here" }); // from here on bob has to see everything
  const published: Promise<unknown>[] = [];
  for (let i = 0; i < 12; i++) {
    if (i % 4 === 3) await Promise.all(published); // only an object that runs can be dropped
    published.push(ann.publish("message", { text: `message ${i}` }));
    if (i % 4 === 1) {
      await Promise.all(published);
      await host.sleep("chat/client", "Shipped");
    }
    if (i % 4 === 3) await host.drop("chat/client", "Shipped");
  }
  await Promise.all(published);
  await all;
  assert.deepEqual(seen, want);
});
