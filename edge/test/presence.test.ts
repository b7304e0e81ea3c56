// Presence across rooms on a real workerd: what rooms tell, what reading corrects, what a sweep does.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { shardOf, shards } from "../host/notice.ts";
import type { UserPresence } from "../host/service.ts";
import { Host, patience, until } from "./harness.ts";

let host: Host;
before(async () => {
  host = await Host.start();
}, patience);
after(() => host.stop());

/** Where a user is, without the times. */
async function where(user: string): Promise<string[]> {
  const p = (await host.presence(user)) as UserPresence;
  assert.equal(p.online, p.connections > 0);
  assert.equal(
    p.rooms.reduce((n, r) => n + r.connections, 0),
    p.connections,
  );
  return p.rooms.map((r) => `${r.kind}/${r.room} ${r.connections}`);
}

const rolls = (room: string) => host.sql("Room", room, "SELECT user, connections, told FROM oriel_roll ORDER BY user");
const register = (user: string, query: string) => host.sql("Presence", String(shardOf(user)), query, user);

test("two rooms, two tabs, and the end of each", async () => {
  const began = Date.now();
  const a1 = await host.connect("probe/here-1", { user: "ann" });
  const a2 = await host.connect("probe/here-2", { user: "ann" });
  await until(() => where("ann"), ["probe/here-1 1", "probe/here-2 1"]);
  const tab = await host.connect("probe/here-1", { user: "ann" });
  assert.deepEqual(await where("ann"), ["probe/here-1 2", "probe/here-2 1"], "reading asks the rooms");
  const { rooms, ...all } = (await host.presence("ann")) as UserPresence;
  assert.deepEqual(all, { user: "ann", online: true, connections: 3 });
  assert.ok(rooms.every((r) => r.since >= began && r.since <= Date.now()));
  await a1.end();
  assert.deepEqual(await where("ann"), ["probe/here-1 1", "probe/here-2 1"]);
  await tab.end();
  await a2.end();
  await until(() => where("ann"), []);
  assert.deepEqual(await host.presence("ann"), { user: "ann", online: false, connections: 0, rooms: [] });
  await until(() => rolls("probe/here-1"), []);
});

test("reading a sleeping room does not start it", async () => {
  await host.connect("probe/doze", { user: "dora" });
  await until(() => where("dora"), ["probe/doze 1"]);
  await host.sleep("probe/doze");
  assert.deepEqual(await where("dora"), ["probe/doze 1"]);
  assert.equal((await host.report("probe/doze")).started, false);
});

test("connections that break, also while the room sleeps, and a reset that nobody was told of", async () => {
  const a = await host.connect("probe/abrupt", { user: "abe" });
  await until(() => where("abe"), ["probe/abrupt 1"]);
  await host.sleep("probe/abrupt");
  a.ws.terminate();
  await until(() => where("abe"), []);
  const b = await host.connect("probe/abrupt", { user: "abe" });
  await until(() => where("abe"), ["probe/abrupt 1"]);
  await host.drop("probe/abrupt");
  await b.closed;
  assert.deepEqual(await where("abe"), []);
});

test("anonymous clients and refused ones are nobody", async () => {
  await host.connect("probe/nobody", {});
  const eve = await host.connect("probe/nobody", { user: "eve", refuse: "1" });
  await eve.closed;
  assert.deepEqual(await rolls("probe/nobody"), []);
  assert.deepEqual(await where("eve"), []);
});

test("an object that lost a notice is corrected when it is read", async () => {
  for (const room of ["never-made", "doze"])
    await register("gus", `INSERT INTO oriel_presence VALUES (?, 'probe', '${room}', 1, 2, 5)`);
  await register("gus", "INSERT INTO oriel_presence VALUES (?, 'nobody', 'x', 1, 1, 5)");
  assert.deepEqual(await where("gus"), []);
});

test("a room corrects at its start what the presence objects believe", async () => {
  const a = await host.connect("probe/start", { user: "sue" });
  await a.next();
  await until(() => rolls("probe/start"), [{ user: "sue", connections: 1, told: 1 }]);
  // As after a crash: sue's coming is in no row, and a row speaks of one who left unseen.
  await host.sql("Room", "probe/start", "DELETE FROM oriel_roll");
  await host.sql("Room", "probe/start", "INSERT INTO oriel_roll VALUES ('ghost', 1, 1, 5, 1)");
  await register("ghost", "INSERT INTO oriel_presence VALUES (?, 'probe', 'start', 1, 1, 5)");
  await register("sue", "DELETE FROM oriel_presence WHERE user = ?");
  await host.sleep("probe/start");
  assert.equal(await a.ask("get x"), "false ");
  await until(() => rolls("probe/start"), [{ user: "sue", connections: 1, told: 1 }]);
  await until(() => where("sue"), ["probe/start 1"]);
  const seen = await register("ghost", "SELECT connections FROM oriel_presence WHERE user = ?");
  assert.deepEqual(seen, [{ connections: 0 }]);
});

test("notices wait while the presence object hears nothing, also through sleep", async () => {
  await host.presence("x", { deaf: "1" });
  const a = await host.connect("probe/deaf", { user: "dan" });
  await a.next();
  await until(() => rolls("probe/deaf"), [{ user: "dan", connections: 1, told: 0 }]);
  await host.sleep("probe/deaf");
  assert.deepEqual(await where("dan"), []);
  await host.presence("x", { deaf: "0" });
  await until(() => where("dan"), ["probe/deaf 1"]); // by the alarm: nothing else wakes the room
  assert.deepEqual(await rolls("probe/deaf"), [{ user: "dan", connections: 1, told: 1 }]);
});

test("a sweep asks the rooms, keeps who is there, and comes again by the clock", async () => {
  const quarter = 15 * 60_000;
  await host.connect("probe/swept", { user: "sam" });
  await until(() => where("sam"), ["probe/swept 1"]);
  await register("sam", "UPDATE oriel_presence SET since = 5 WHERE user = ?");
  await register("sam", "INSERT INTO oriel_presence VALUES (?, 'probe', 'swept-ghost', 1, 1, 5)");
  await register("sam", "INSERT INTO oriel_presence VALUES (?, 'probe', 'long-gone', 1, 0, 5)");
  const next = (await host.presence("sam", { sweep: "1" })) as number;
  assert.ok(next % quarter === 0 && next > Date.now() && next <= Date.now() + quarter);
  const rows = await register("sam", "SELECT room, connections FROM oriel_presence WHERE user = ? ORDER BY room");
  assert.deepEqual(rows, [
    { room: "swept", connections: 1 },
    { room: "swept-ghost", connections: 0 },
  ]);
  assert.equal((await host.report("probe/swept-ghost")).started, false);
});

test("every shard is used", () => {
  const used = new Set(Array.from({ length: 1000 }, (_, i) => shardOf(`user-${i}`)));
  assert.equal(used.size, shards);
});
