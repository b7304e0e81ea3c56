// Rooms that watch users and notify them, on a real workerd.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newest } from "../host/newest.ts";
import { shardOf } from "../host/notice.ts";
import { type Client, eventually, Host, patience, until } from "./harness.ts";

let host: Host;
before(async () => {
  host = await Host.start();
}, patience);
after(() => host.stop());

const watchers = (user: string) =>
  host.sql(
    "Presence",
    String(shardOf(user)),
    "SELECT room, online FROM oriel_watcher WHERE user = ? ORDER BY room",
    user,
  );
const watches = (room: string) =>
  host.sql("Room", `friends/${room}`, "SELECT user, active, told, online FROM oriel_watch ORDER BY user");

/** Reads frames until one is the wanted one. */
async function heard(c: Client, want: string): Promise<string[]> {
  const got: string[] = [];
  while (got.at(-1) !== want) got.push(String(await c.next()));
  return got;
}

test("a room hears now and at every change, also asleep", async () => {
  const ann = await host.connect("friends/one", { user: "ann" });
  ann.send("watch bob");
  await heard(ann, "bob false");
  assert.deepEqual(await watches("one"), [{ user: "bob", active: 1, told: 1, online: 0 }]);
  const bob = await host.connect("probe/other", { user: "bob" });
  await heard(ann, "bob true");
  await host.sleep("friends/one");
  await bob.end();
  await heard(ann, "bob false"); // wakes the room, a while after he went
  await host.sleep("friends/one");
  ann.send("reason");
  await heard(ann, "reason 2");
  await heard(ann, "bob false"); // at its start it is told again, by its own row
  ann.send("unwatch bob");
  await until(() => watches("one"), []);
  await until(() => watchers("bob"), []);
});

test("who comes back at once was not gone", async () => {
  const ann = await host.connect("friends/grace", { user: "ann" });
  ann.send("watch cid");
  await heard(ann, "cid false");
  const cid = await host.connect("probe/a", { user: "cid" });
  await heard(ann, "cid true");
  await cid.end();
  await until(async () => ((await host.presence("cid")) as { online: boolean }).online, false);
  await host.connect("probe/b", { user: "cid" });
  await until(async () => ((await host.presence("cid")) as { online: boolean }).online, true);
  const [row] = await host.sql(
    "Presence",
    String(shardOf("cid")),
    "SELECT due, online FROM oriel_watcher WHERE user = ?",
    "cid",
  );
  assert.deepEqual(row, { due: 0, online: 1 });
  assert.deepEqual(ann.waiting, []);
});

test("a room without connections hears at its next start", async () => {
  const ann = await host.connect("friends/empty", { user: "ann" });
  ann.send("watch dan");
  await heard(ann, "dan false");
  await ann.end();
  await host.sleep("friends/empty");
  await host.connect("probe/dan", { user: "dan" });
  await until(() => watches("empty"), [{ user: "dan", active: 1, told: 1, online: 1 }]);
  assert.equal((await host.report("friends/empty")).started, false);
  const again = await host.connect("friends/empty", { user: "ann" });
  await heard(again, "dan true");
});

test("what the room lost is mended by its start, and what the presence object lost by the room", async () => {
  const ann = await host.connect("friends/lost", { user: "ann" });
  ann.send("watch eve");
  await heard(ann, "eve false");
  // A watcher that the room knows nothing of goes when it is told.
  await host.sql(
    "Presence",
    String(shardOf("eve")),
    "INSERT INTO oriel_watcher VALUES ('eve', 'friends', 'never', 0, 0)",
  );
  await host.sql("Presence", String(shardOf("eve")), "INSERT INTO oriel_watcher VALUES ('eve', 'nobody', 'x', 0, 0)");
  await host.connect("probe/eve", { user: "eve" });
  await heard(ann, "eve true");
  await until(() => watchers("eve"), [{ room: "lost", online: 1 }]);
  // A row of whom the room does not watch any more goes when it starts.
  await host.sql("Room", "friends/lost", "INSERT INTO oriel_watch VALUES ('fay', 1, 1, 1)");
  await host.sleep("friends/lost");
  ann.send("reason");
  await until(() => watches("lost"), [{ user: "eve", active: 1, told: 1, online: 1 }]);
});

test("rooms that cannot be reached are told later", async () => {
  const ann = await host.connect("friends/later", { user: "ann" });
  ann.send("watch gil");
  await heard(ann, "gil false");
  await host.presence("x", { away: "1" });
  const gil = await host.connect("probe/gil", { user: "gil" });
  const due = async () => {
    const [row] = await host.sql(
      "Presence",
      String(shardOf("gil")),
      "SELECT due FROM oriel_watcher WHERE user = ?",
      "gil",
    );
    return Number(row?.due) > Date.now() + 10_000;
  };
  await until(due, true);
  await host.presence("x", { away: "0" });
  await host.sql("Presence", String(shardOf("gil")), "UPDATE oriel_watcher SET due = 1 WHERE user = ?", "gil");
  await host.presence("gil", { sweep: "1" });
  await heard(ann, "gil true");
  await gil.end();
});

test("a room that fails on what it hears is told later, not again and again", async () => {
  const ann = await host.connect("friends/poisoned", { user: "ann" });
  ann.send("watch hal");
  await heard(ann, "hal false");
  ann.send("poison");
  await host.connect("probe/hal", { user: "hal" });
  const traps = async () => ((await host.report("friends/poisoned")).ledger as { traps: number }).traps;
  await eventually(async () => assert.ok((await traps()) >= 1));
  await eventually(async () => assert.ok((await traps()) >= 2)); // told again, after a second
  assert.ok((await traps()) <= 4);
  await host.sleep("friends/poisoned"); // with nothing but its alarm to know of it
  await eventually(async () => assert.ok((await traps()) >= 1));
});

test("each device hears a notification once, whoever says it", async () => {
  const ann = await host.connect("friends/say", { user: "ann" });
  const older = await host.connect("friends/a", { user: "ida", device: "phone" });
  await new Promise((resolve) => setTimeout(resolve, 5)); // so that the next is newer
  const phone = await host.connect("friends/b", { user: "ida", device: "phone" });
  const tablet = await host.connect("friends/a", { user: "ida", device: "tablet" });
  const first = await host.connect("friends/c", { user: "ida" });
  const second = await host.connect("friends/c", { user: "ida" });
  await until(async () => ((await host.presence("ida")) as { connections: number }).connections, 5);
  await host.sleep("friends/b"); // the device is known through sleep
  ann.send("notify ida one two three");
  for (const c of [phone, tablet, first, second])
    for (const word of ["one", "two", "three"]) assert.equal(await c.next(), `friends/say poke ${word}`);
  assert.deepEqual(older.waiting, []);

  const at = host.at("/notify/ida?event=e");
  const r = await fetch(at, { method: "POST", body: '{"a":1}' });
  assert.deepEqual([r.status, await r.json()], [200, { devices: 4 }]);
  for (const c of [phone, tablet, first, second]) assert.equal(await c.next(), '/ e {"a":1}');
  const bytes = { "content-type": "application/octet-stream" };
  await fetch(at, { method: "POST", headers: bytes, body: new Uint8Array([0xff]) });
  assert.ok((await phone.next()) instanceof Uint8Array);
  const nobody = await fetch(host.at("/notify/nobody?event=e"), { method: "POST" });
  assert.deepEqual(await nobody.json(), { devices: 0 });
  for (const [event, headers, body, status] of [
    ["", {}, "1", 422],
    ["a%20b", {}, "1", 422],
    ["e".repeat(49), {}, "1", 422],
    ["e", {}, "{", 400],
    ["e", {}, new Uint8Array([0x22, 0xff, 0x22]), 400],
    ["e", bytes, new Uint8Array(16385), 413],
    ["e".repeat(48), bytes, new Uint8Array(16384), 200],
  ] as const) {
    const url = host.at(`/notify/ida?event=${event}`);
    const r = await fetch(url, { method: "POST", headers, body: body as BodyInit });
    assert.equal(r.status, status, `${event} ${String(body).slice(0, 20)}`);
  }
  assert.deepEqual(older.waiting, []);
});

test("the newest of each device, and of no more than a hundred", () => {
  const all = Array.from({ length: 150 }, (_, i) => ({
    id: BigInt(i),
    device: i < 20 ? "phone" : "",
    since: 1000 + (i % 75),
  }));
  const chosen = newest(all);
  assert.equal(chosen.length, 100);
  assert.deepEqual([chosen[0]?.id, chosen[1]?.id], [149n, 74n]);
  assert.equal(newest(all.slice(0, 20)).length, 1);
  assert.equal(newest(all.slice(0, 20))[0]?.id, 19n);
});
