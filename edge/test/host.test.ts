// The host on a real workerd: every test has rooms of its own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, Host, patience, until } from "./harness.ts";

let host: Host;
before(async () => {
  host = await Host.start();
}, patience);
after(() => host.stop());

test("connect, message, broadcast, close", async () => {
  const a = await host.connect("probe/basic", { user: "ann", claims: '{"a":1}' });
  assert.equal(await a.next(), 'welcome ann {"a":1}');
  const b = await host.connect("probe/basic", { user: "bob" });
  assert.equal(await b.next(), "welcome bob ");
  a.send("say hi");
  assert.equal(await a.next(), "ann: hi");
  assert.equal(await b.next(), "ann: hi");
  a.send("tag tag:bob psst");
  assert.equal(await b.next(), "psst");
  assert.deepEqual(await a.ask(new Uint8Array([1, 2, 255])), new Uint8Array([1, 2, 255]));
  assert.deepEqual(await b.end(4321, "bye"), { code: 4321, reason: "bye" });
  assert.equal(await a.next(), "left bob 4321 bye");
});

test("storage: what a turn wrote is read by the next, in the order of bytes", async () => {
  const a = await host.connect("probe/storage", { user: "ann" });
  await a.next();
  for (const key of ["b", "a", "ab", "é", "B"]) assert.equal(await a.ask(`put ${key} v${key}`), "ok");
  assert.equal(await a.ask("get ab"), "true vab");
  assert.equal(await a.ask("get none"), "false ");
  a.send("list ");
  const rows = [];
  for (let f = await a.next(); f !== "end"; f = await a.next()) rows.push(f);
  assert.deepEqual(rows, ["row B", "row a", "row ab", "row b", "row é"]);
});

test("sleep: connections, attachments and storage outlive the object's memory", async () => {
  const a = await host.connect("probe/sleep", { user: "ann" });
  const b = await host.connect("probe/sleep", { user: "bob" });
  await a.next();
  await b.next();
  assert.equal(await a.ask("put k v"), "ok");
  b.send("attach mine");
  assert.equal(await b.ask("who"), "ann=hello ann,tag:ann;bob=mine,tag:bob;");
  const before = String(await a.ask("state")).split(" ");
  await host.sleep("probe/sleep");
  const after = String(await a.ask("state")).split(" ");
  assert.deepEqual(after, ["1", "2", before[2]], "memory lost, woken, same incarnation");
  assert.equal(await a.ask("who"), "ann=hello ann,tag:ann;bob=mine,tag:bob;");
  assert.equal(await a.ask("get k"), "true v");
  a.send("tag tag:bob psst");
  assert.equal(await b.next(), "psst");
});

test("a close that wakes the room is heard", async () => {
  const a = await host.connect("probe/closewake", { user: "ann" });
  const b = await host.connect("probe/closewake", { user: "bob" });
  await a.next();
  await b.next();
  await host.sleep("probe/closewake");
  assert.deepEqual(await b.end(1000, "bye"), { code: 1000, reason: "bye" });
  assert.equal(await a.next(), "left bob 1000 bye");
  assert.equal(await a.ask("who"), "ann=hello ann,tag:ann;");
});

test("a connection that breaks while the room sleeps is heard once", async () => {
  const a = await host.connect("probe/broken", { user: "ann" });
  const b = await host.connect("probe/broken", { user: "bob" });
  await a.next();
  await b.next();
  await host.sleep("probe/broken");
  b.ws.terminate();
  assert.match(String(await a.next()), /^left bob 1006/);
  assert.equal(await a.ask("who"), "ann=hello ann,tag:ann;");
});

test("refused in the connect turn, and by a trap", async () => {
  const refused = await host.connect("probe/refuse", { user: "eve", refuse: "1" });
  assert.deepEqual(await refused.closed, { code: 4403, reason: "not you" });
  assert.deepEqual(refused.waiting, []);
  const trapped = await host.connect("probe/refuse", { user: "eve", panic: "1" });
  assert.deepEqual(await trapped.closed, { code: 4209, reason: "rejected" });
  const a = await host.connect("probe/refuse", { user: "ann" });
  await a.next();
  assert.equal(await a.ask("who"), "ann=hello ann,tag:ann;");
});

for (const [verb, cause] of [
  ["panic", "panic"],
  ["putpanic k v", "panic"],
  ["loop", "fuel"],
  ["recurse", "fuel"],
  ["hoard", "memory"],
  ["exit", "exit"],
  ["sleep", "blocked"],
  ["block", "blocked"],
] as const) {
  test(`trap: ${verb} has no effect, keeps the sockets, and comes back as rejected`, async () => {
    const name = `probe/trap-${verb.split(" ")[0]}`;
    const a = await host.connect(name, { user: "ann" });
    const b = await host.connect(name, { user: "bob" });
    await a.next();
    await b.next();
    assert.equal(await a.ask(verb), `rejected rejected ${verb}`);
    assert.equal(await a.ask("get k"), "false ");
    assert.equal(await b.ask("who"), "ann=hello ann,tag:ann;bob=hello bob,tag:bob;");
    assert.match(String(await b.ask("state")), /^3 3 /, "started again after a trap");
    assert.deepEqual(b.waiting, []);
    await eventually(() => {
      const lines = host.logs().filter((l) => l.includes(name));
      assert.ok(
        lines.some((l) => l.includes(`"cause":"${cause}"`)),
        lines.join("\n"),
      );
    });
  });
}

test("a trap of one room costs its neighbours their memory at most", async () => {
  const a = await host.connect("probe/neighbour", { user: "ann" });
  await a.next();
  assert.equal(await a.ask("put k v"), "ok");
  const b = await host.connect("probe/culprit", { user: "bob" });
  await b.next();
  assert.equal(await b.ask("panic"), "rejected rejected panic");
  assert.equal(await a.ask("get k"), "true v");
  assert.equal(await a.ask("who"), "ann=hello ann,tag:ann;");
});

test("a module without fuel and a memory for each room", async () => {
  const a = await host.connect("probe/plain", { user: "ann", plain: "1" });
  assert.equal(await a.next(), "welcome ann ");
  assert.equal(await a.ask("panic"), "rejected rejected panic");
  assert.equal(await a.ask("put k v"), "ok");
});

test("an alarm fires once, also when the room sleeps", async () => {
  const a = await host.connect("probe/alarm", { user: "ann" });
  await a.next();
  assert.equal(await a.ask("alarm 50"), "alarm 0");
  a.send("alarm 4000"); // time enough to fall asleep
  assert.equal(await a.ask("get x"), "false ");
  await host.sleep("probe/alarm");
  assert.equal(await a.next(), "alarm 0");
  assert.equal(await a.ask("get x"), "false ");
  assert.deepEqual(a.waiting, []);
});

test("an alarm that traps is tried again", async () => {
  const a = await host.connect("probe/badalarm", { user: "ann" });
  await a.next();
  assert.equal(await a.ask("put badalarm 1"), "ok");
  assert.equal(await a.ask("alarm 10"), "alarm 1");
});

test("ticks come while they are asked for", async () => {
  const a = await host.connect("probe/tick", { user: "ann" });
  await a.next();
  assert.equal(await a.ask("tick"), "ticked");
  assert.equal((await host.report("probe/tick")).ticking, true);
  a.send("notick");
  assert.equal(await a.ask("get ticking"), "false ");
  assert.equal((await host.report("probe/tick")).ticking, false);
});

test("one room tells another", async () => {
  const a = await host.connect("probe/teller", { user: "ann" });
  const b = await host.connect("probe/told", { user: "bob" });
  await a.next();
  await b.next();
  a.send("tell probe/told hello there");
  assert.equal(await b.next(), "told probe/teller hello there");
  a.send("tell nobody/told lost");
  a.send("tell probe/told again");
  assert.equal(await b.next(), "told probe/teller again");
});

test("what could not be told is told later, also through sleep", async () => {
  const a = await host.connect("probe/patient", { user: "ann" });
  const b = await host.connect("probe/patient-told", { user: "bob" });
  await a.next();
  await b.next();
  await host.presence("x", { away: "1" });
  a.send("tell probe/patient-told later");
  assert.equal(await a.ask("get x"), "false ");
  const waiting = () => host.sql("Room", "probe/patient", "SELECT kind, room FROM oriel_outbox");
  await until(waiting, [{ kind: "probe", room: "patient-told" }]);
  await host.sleep("probe/patient");
  await host.presence("x", { away: "0" });
  assert.equal(await b.next(), "told probe/patient later"); // by the alarm: nothing else wakes the room
  await until(waiting, []);
  assert.deepEqual(b.waiting, []);
});

test("an alarm that traps six times is parked and reported, and the room goes on", async () => {
  const room = "probe/parked";
  const a = await host.connect(room, { user: "ann" });
  await a.next();
  assert.equal(await a.ask("put deadalarm 1"), "ok");
  a.send("alarm 1000");
  assert.equal(await a.ask("get x"), "false ");
  await host.sleep(room);
  await host.sql("Room", room, "UPDATE oriel_state SET attempt = 5"); // five failures would take a minute
  await until(() => host.sql("Room", room, "SELECT attempt, due FROM oriel_state"), [{ attempt: 6, due: 0 }]);
  await until(async () => host.logs().some((l) => l.includes(room) && l.includes("is parked")), true);
  assert.equal(await a.ask("put deadalarm2 1"), "ok");
  const b = await host.connect(room, { user: "bob" });
  await b.next();
  assert.equal((await host.sql("Room", room, "SELECT due FROM oriel_state"))[0]?.due, 0, "it stays parked");
});

test("a memory above its mark is replaced: the room starts again from storage", async () => {
  interface Load {
    instance: { replaced: number; instances: number };
  }
  const a = await host.connect("probe/small", { user: "ann", small: "1" });
  await a.next();
  assert.equal(await a.ask("put k v"), "ok");
  assert.match(String(await a.ask("state")), /^1 2 /, "its first turn in this memory, woken");
  assert.match(String(await a.ask("state")), /^1 2 /);
  assert.equal(await a.ask("get k"), "true v");
  assert.equal(await a.ask("who"), "ann=hello ann,tag:ann;");
  const { instance } = (await host.report("probe/small", { small: "1" })) as unknown as Load;
  assert.ok(instance.replaced >= 6 && instance.instances >= 6, JSON.stringify(instance));
});

test("a room without a turn is forgotten by the next turn of another", async () => {
  interface Load {
    instance: { rooms: number; forgotten: number };
  }
  const load = async () => ((await host.report("probe/short-a", { short: "1" })) as unknown as Load).instance;
  const a = await host.connect("probe/short-a", { user: "ann", short: "1" });
  await a.next();
  assert.equal(await a.ask("put k v"), "ok");
  const b = await host.connect("probe/short-b", { user: "bob", short: "1" });
  await b.next();
  assert.deepEqual([(await load()).rooms, (await load()).forgotten], [1, 1]);
  assert.match(String(await a.ask("state")), /^1 2 /, "woken");
  assert.equal(await a.ask("get k"), "true v");
  assert.deepEqual([(await load()).rooms, (await load()).forgotten], [1, 2]);
});

test("HTTP requests", async () => {
  const r = await host.fetch(
    "probe/http",
    { method: "POST", body: "body", headers: { "content-type": "text/x", cookie: "secret" } },
    { user: "ann" },
    "/deep/er",
  );
  assert.equal(r.status, 201);
  assert.equal(r.headers.get("content-type"), "text/plain");
  assert.equal(r.headers.get("x-content-type-options"), "nosniff");
  assert.equal(await r.text(), "POST /deep/er user=ann ann text/x body");
  const trapped = await host.fetch("probe/http", { method: "POST" }, {}, "/panic");
  assert.equal(trapped.status, 500);
  assert.equal(((await trapped.json()) as { code: string }).code, "rejected");
  const large = await host.fetch("probe/http", { method: "POST", body: new Uint8Array((1 << 20) + 1) });
  assert.equal(large.status, 413);
  await large.body?.cancel();
  const kind = await host.fetch("unknown/http");
  assert.equal(kind.status, 404);
  assert.equal(((await kind.json()) as { code: string }).code, "unknown_kind");
});

test("closed by the room: the client is told, the room hears it", async () => {
  const a = await host.connect("probe/kick", { user: "ann" });
  const b = await host.connect("probe/kick", { user: "bob" });
  await a.next();
  await b.next();
  b.send("kick now");
  assert.deepEqual(await b.closed, { code: 4400, reason: "out now" });
  assert.equal(await a.next(), "left bob 4400 out now");
  await host.sleep("probe/kick");
  assert.equal(await a.ask("who"), "ann=hello ann,tag:ann;");
});

test("limits of a kind: message size at the limit and one past it", async () => {
  const a = await host.connect("probe/large", { user: "ann" });
  await a.next();
  assert.equal((await a.ask(new Uint8Array(4096))).length, 4096);
  a.send(new Uint8Array(4097));
  assert.deepEqual(await a.closed, { code: 1009, reason: "message_too_big" });
});

test("limits of a kind: members", async () => {
  const many = [];
  for (let i = 0; i < 64; i++) many.push(await host.connect("probe/full", { user: `u${i}` }));
  await many[63]?.next();
  const late = await host.connect("probe/full", { user: "late" });
  assert.deepEqual(await late.closed, { code: 4006, reason: "room_full" });
  for (const c of many) c.ws.terminate();
});

test("limits of a kind: rate", async () => {
  const a = await host.connect("probe/rate", { user: "ann" });
  await a.next();
  for (let i = 0; i < 1000; i++) a.send("say x"); // however slow the machine, this is too fast
  const { code, reason } = await a.closed;
  assert.equal(code, 4005);
  assert.match(reason, /^rate_limited; retry=\d+$/);
});

test("the session protocol's ping is answered and wakes nobody", async () => {
  const a = await host.connect("session/ping", { user: "ann", protocol: "oriel.v1.json" });
  assert.equal(a.ws.protocol, "oriel.v1.json");
  await a.next();
  assert.equal(await a.ask("put k v"), "ok");
  await host.sleep("session/ping");
  assert.equal(await a.ask('{"type":"ping"}'), '{"type":"pong"}');
  assert.equal((await host.report("session/ping")).started, false);
  const b = await host.connect("session/ping", { user: "bob", protocol: "oriel.v1.bin" });
  await b.next();
  assert.deepEqual(await b.ask(new Uint8Array([6])), new Uint8Array([0x19]));
});

test("a credential that ends closes its connection", async () => {
  const a = await host.connect("probe/expires", { user: "ann", expires: String(Date.now() + 4000) });
  await a.next();
  assert.equal(await a.ask("get x"), "false ");
  await host.sleep("probe/expires");
  assert.deepEqual(await a.closed, { code: 4101, reason: "token_expired" });
});

test("a room that does not start: refused with a delay, and left alone", async () => {
  const a = await host.connect("nostart/room", { user: "ann" });
  const { code, reason } = await a.closed;
  assert.equal(code, 4004);
  assert.match(reason, /^room_unavailable; retry=\d+$/);
  const r = await host.fetch("nostart/room");
  assert.equal(r.status, 503);
  assert.ok(r.headers.has("retry-after"));
  await r.body?.cancel();
});

test("log lines of a room are written, and marked when the turn trapped", async () => {
  const a = await host.connect("probe/log", { user: "ann" });
  await a.next();
  a.send("log a line of the room");
  assert.equal(await a.ask("get x"), "false ");
  await until(async () => host.logs().some((l) => l.includes("a line of the room")), true);
});

test("the outside cannot reach an object without a visit", async () => {
  const r = await host.report("probe/never-made");
  assert.equal(r.started, false);
  assert.equal(r.rowsWritten, 0);
});

test("many rooms share a memory", async () => {
  interface Load {
    instance: { bytes: number; rooms: number; forgotten: number };
  }
  const load = async () => (await host.report("probe/density-0")) as unknown as Load;
  const seen = ({ instance }: Load) => instance.rooms + instance.forgotten;
  const visit = async (i: number) => {
    const r = await host.fetch(`probe/density-${i}`, { method: "POST", body: "x" });
    assert.equal(r.status, 201);
    await r.body?.cancel();
  };
  await visit(0);
  const before = await load();
  const rooms = 300;
  for (let i = 1; i <= rooms; i += 10) await Promise.all(Array.from({ length: 10 }, (_, k) => visit(i + k)));
  const after = await load();
  const each = (after.instance.bytes - before.instance.bytes) / rooms;
  console.log(`edge_memory_per_room ${(each / 1024).toFixed(1)} KiB`);
  assert.ok(seen(after) - seen(before) >= rooms);
  assert.ok(each <= 64 * 1024, `${each} bytes`);
});
