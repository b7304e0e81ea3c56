// What no SDK lets a room do, what a platform's limits do, and clients that are not there: the host under
// a guest of the runtime's own tests, with few sockets, with a clock that jumps. hostile.test.ts has the list.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, before, test } from "node:test";
import { visitValue } from "../host/visit.ts";
import { Host, patience, until } from "./harness.ts";

let host: Host;
before(async () => {
  host = await Host.start();
}, patience);
after(() => host.stop());

for (const [command, cause] of [
  ["wild", "panic"],
  ["hoard", "memory"],
  ["exit 3", "exit"],
  ["naps 100", "blocked"],
  ["goexit", "blocked"],
  ["copy 1000000", "fuel"],
  ["logs 100000000", "fuel"],
  ["far", "garbage"],
  ["huge", "garbage"],
  ["noise", "garbage"],
  ["get-far", "garbage"],
  ["get-long 1", "garbage"],
  ["list-noise", "garbage"],
  ["log-far", "garbage"],
] as const) {
  test(`a guest: ${command}`, async () => {
    const room = `test/${command.replace(" ", "-")}`;
    const a = await host.connect(room, { user: "ann", guest: "1" });
    const b = await host.connect(room, { user: "bob", guest: "1" });
    const before = Number(await b.ask("count"));
    assert.ok(before > 0);
    a.send(command);
    assert.equal(await a.ask("count"), "1", "the memory is new, and nothing of the turn was sent");
    assert.equal(await b.ask("count"), "2");
    const log = host.logs().filter((l) => l.includes(room) && l.includes(`"cause"`));
    assert.ok(log.length === 1 && log[0]?.includes(`"cause":"${cause}"`), log.join("\n"));
  });
}

test("a guest that overwrites its own memory: it is replaced at the latest by the next turn that notices", async () => {
  const a = await host.connect("test/inside", { user: "ann", guest: "1" });
  a.send("wild-inside");
  await until(() => a.ask("version"), "1");
  assert.equal(await a.ask("echo still here"), "still here");
});

test("a room at its socket limit refuses, and knows nobody who is not there", async () => {
  const connect = (user: string) => host.connect("probe/few", { user, few: "1" });
  const clients = [await connect("u1"), await connect("u2"), await connect("u3")]; // at the limit
  const [first, second] = clients as [(typeof clients)[0], (typeof clients)[0]];
  await first.next();
  const late = await connect("late");
  assert.deepEqual(await late.closed, { code: 4006, reason: "room_full" });
  assert.equal(await first.next(), "left late 4006 room_full");
  assert.equal(await first.ask("who"), "u1=hello u1,tag:u1;u2=hello u2,tag:u2;u3=hello u3,tag:u3;");
  await second.end();
  assert.equal(await first.next(), "left u2 1000 ");
  const next = await connect("next");
  assert.equal(await next.next(), "welcome next ");
});

test("the object resets: what it had not answered is refused with a code that says come back", async () => {
  const room = "probe/reset";
  const ask = async (query: Record<string, string>, path = "") => {
    const r = await host.fetch(room, { method: "POST", body: "x" }, query, path);
    return [r.status, r.headers.get("retry-after"), ((await r.json()) as { code: string }).code];
  };
  const unavailable = [503, "1", "room_unavailable"];
  for (let i = 0; i < 3; i++) {
    const a = await host.connect(room, { user: "ann" });
    assert.equal(await a.next(), "welcome ann ");
    assert.equal(await a.ask(`put k v${i}`), "ok");
    const waiting = [ask({}, "/never"), ask({}, "/never")];
    await until(async () => (await host.bill(room)).why, "a request waits for its answer (2)");
    assert.deepEqual(await ask({ abort: "1" }), unavailable);
    assert.deepEqual(await Promise.all(waiting), [unavailable, unavailable]);
    assert.equal((await a.closed).code, 1006);
    const b = await host.connect(room, { user: "bob" });
    assert.equal(await b.next(), "welcome bob ");
    assert.equal(await b.ask("get k"), `true v${i}`, "what was answered is there");
    assert.equal(await b.ask("who"), "bob=hello bob,tag:bob;");
    await b.end();
  }
});

test("a client that never reads: the others get everything, at once", async () => {
  const dial = (user: string) => {
    const visit = visitValue({ to: "socket", kind: "probe", room: "slow", user });
    return host.dial(host.at("/kit/probe/slow"), [], { "oriel-visit": visit });
  };
  const slow = await dial("slow");
  slow.ws.pause();
  const a = await dial("ann");
  const size = 1_000_000;
  const rounds = 30; // more than all buffers of the kernel
  for (let i = 0; i < rounds; i++) {
    a.send(`say ${"x".repeat(size)}`);
    let frame = "";
    while (frame.length < size) frame = String(await a.next());
  }
  assert.ok((Reflect.get(slow.ws, "_socket") as Socket).bytesRead < size * (rounds / 2));
  assert.equal(await a.ask("send still here"), "still here");
  slow.ws.terminate();
  assert.match(String(await a.next()), /^gone 1 1006/);
});

test("a half-open connection ends when somebody else is heard, asleep or awake", async () => {
  for (const asleep of [true, false]) {
    const room = `session/half-open-${asleep}`;
    const a = await host.connect(room, { user: "ann", protocol: "oriel.v1.json" });
    const b = await host.connect(room, { user: "bob", protocol: "oriel.v1.json" });
    await a.next();
    await b.next();
    for (const c of [a, b]) assert.equal(await c.ask("get x"), "false "); // else it is waited for their hello
    if (asleep) await host.sleep(room);
    try {
      await host.clock(Date.now() + 60_000);
      assert.equal(await b.ask("get x"), "false ");
      assert.equal(await b.ask("who"), "ann=hello ann,tag:ann;bob=hello bob,tag:bob;", "not yet");
      await host.clock(Date.now() + 120_000);
      assert.equal(await b.ask("get x"), "false ");
      const { code, reason } = await a.closed;
      assert.equal(code, 4003);
      assert.match(reason, /^heartbeat_timeout; retry=\d+$/);
      assert.match(String(await b.next()), /^left ann 4003 heartbeat_timeout/);
    } finally {
      await host.clock(0);
    }
  }
});
