// The bill and sleep report: an idle chat room sleeps, and what keeps another awake is named.

import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { after, before, test } from "node:test";
import { Account, linger } from "../host/account.ts";
import { Bill, tableOf } from "../host/bill.ts";
import { appWorker, eventually, Host, patience, until } from "./harness.ts";

let app: Host;
let host: Host;
before(async () => {
  app = await Host.start(appWorker);
  host = await Host.start();
}, patience);
after(() => Promise.all([app.stop(), host.stop()]));

/** Waits until the bill gives a reason: what is done for an event may end a little after its answer. */
const because = (host: Host, object: string, why: RegExp) =>
  eventually(async () => assert.match((await host.bill(object)).why, why));

test("an idle chat room sleeps, and pings do not wake it", async () => {
  const r = await fetch(app.at("/v1/dev/token?user=ann"));
  const { token } = (await r.json()) as { token: string };
  const began = Date.now();
  const a = await app.dial(app.url("chat/idle"), ["oriel.v1.json", `bearer.${token}`]);
  assert.match((await app.bill("chat/idle")).why, /a client has not said hello/);
  assert.match(String(await a.ask('{"type":"hello"}')), /"welcome"/);
  a.send('{"type":"publish","seq":1,"event":"message","data":{"text":"hi"}}');
  for (let frame = ""; !frame.includes('"ack"'); ) frame = String(await a.next());
  assert.equal((await app.bill("chat/idle")).messages, 2);
  await because(app, "chat/idle", /^idle, hibernates in/);
  const busy = Date.now() - began;
  await until(async () => (await app.bill("chat/idle")).state, "hibernated", 8 * linger);
  for (let i = 0; i < 3; i++) assert.equal(await a.ask('{"type":"ping"}'), '{"type":"pong"}');
  const asleep = await app.bill("chat/idle");
  assert.equal(asleep.state, "hibernated");
  assert.equal(asleep.messages, 2, "pings are free");
  // Each alarm may come just before it would have slept.
  assert.ok(asleep.awakeMs < busy + (asleep.lives + asleep.alarms) * (linger + 3000), JSON.stringify(asleep));
  // The proof: the platform made the object anew, so it had really let go of it.
  a.send('{"type":"publish","seq":2,"event":"message","data":{"text":"again"}}');
  for (let frame = ""; !frame.includes('"ack"'); ) frame = String(await a.next());
  const woken = await app.bill("chat/idle");
  assert.ok(woken.lives > asleep.lives, JSON.stringify([asleep, woken]));
  assert.ok(woken.rowsWritten > asleep.rowsWritten);
});

test("what keeps a room awake is named", async () => {
  const a = await host.connect("probe/awake", { user: "ann" });
  await a.next();
  await because(host, "probe/awake", /^idle/);
  assert.equal(await a.ask("tick"), "ticked");
  assert.match((await host.bill("probe/awake")).why, /the room ticks/);
  a.send("notick");
  assert.equal(await a.ask("get ticking"), "false ");
  await because(host, "probe/awake", /^idle/);
  const never = new AbortController();
  const pending = host
    .fetch("probe/awake", { method: "POST", signal: never.signal }, {}, "/never")
    .catch(() => undefined);
  await until(async () => (await host.bill("probe/awake")).why, "a request waits for its answer");
  never.abort();
  await pending;
});

test("the bill is for this machine, on a dev server, as a table for people", async () => {
  const table = await fetch(app.at("/v1/dev/bill"));
  assert.match(await table.text(), /^object +state +lives[\s\S]+\ntotal /);
  const other = get(app.at("/v1/dev/bill"), { headers: { host: "example.com" } });
  const [response] = (await once(other, "response")) as [IncomingMessage];
  assert.equal(response.statusCode, 404);
  response.destroy();
});

test("an account counts the time awake, with the wait for sleep", () => {
  const a = new Account();
  const meter = { rowsWritten: 0 };
  a.woke(meter, 1000);
  assert.equal(a.state(1000), "hibernated", "constructed for nothing");
  a.hold("event", 1000);
  assert.equal(a.awake(3000), 2000);
  assert.equal(a.state(1_000_000), "awake", "held for ever");
  a.woke(meter, 5000); // put to sleep all the same: what it held is void
  assert.equal(a.state(5000), "hibernated");
  meter.rowsWritten = 3;
  const next = { rowsWritten: 2 };
  a.woke(next, 6000);
  assert.equal(a.rows, 5);
  assert.equal(a.lives, 3);
});

test("prices", () => {
  const bill = new Bill();
  const a = bill.account("chat/x");
  a.requests = 1_000_000;
  a.messages = 20_000_000;
  a.woke({ rowsWritten: 1_000_000 });
  const { objects, total } = bill.report();
  assert.equal(total.dollars.toFixed(6), (0.15 + 0.15 + 1).toFixed(6));
  assert.equal(objects[0]?.state, "hibernated");
  assert.match(tableOf(bill.report()), /chat\/x +hibernated +1 +1000000 +0 +20000000 +1000000/);
});
