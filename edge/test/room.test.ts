// The model of a room with a guest that does what the test says; rooms/host has the same tests.

import assert from "node:assert/strict";
import { test } from "node:test";
import { codes, limits } from "../host/abi.gen.ts";
import { batchOf, effectsBytes } from "../host/batch.ts";
import { Bucket } from "../host/bucket.ts";
import type { Connection } from "../host/connection.ts";
import { alarmDelay, backOff } from "../host/delay.ts";
import type { DeliverEffect, Effect } from "../host/effect.ts";
import { envelopeBytes, envelopeOf, maxEnvelope } from "../host/envelope.ts";
import { eventOf, type RoomEvent } from "../host/event.ts";
import type { Guest } from "../host/guest.ts";
import type { KindOptions } from "../host/manifest.ts";
import { Room, type RoomConfig } from "../host/room.ts";
import { maxTable } from "../host/table.ts";
import { StartError, Trap } from "../host/trap.ts";
import type { Turn } from "../host/turn.ts";

const kind: KindOptions = {
  name: "k",
  protocols: [],
  anonymous: false,
  messageBytes: 65536,
  messagesPerSecond: 50,
  messageBurst: 100,
  members: 3,
  sleepAfter: 10_000,
  durability: "durable",
  queueBytes: 1 << 20,
  overflow: "close",
};

const none = new Uint8Array(0);

function connection(id: number, more: Partial<Connection> = {}): Connection {
  const base = { user: `u${id}`, claims: none, protocol: "", since: 1, tags: [], attachment: none, muted: false };
  return { id: BigInt(id), ...base, ...more };
}

const connect = (id: number): RoomEvent => ({ type: "connect", connection: connection(id), query: "", address: "" });
const message = (id: number, text: string): RoomEvent => ({
  type: "message",
  connection: BigInt(id),
  encoding: "text",
  data: new TextEncoder().encode(text),
});

/** A room whose guest answers each event by a function; it sees every batch. */
class Kit implements Guest {
  readonly room: Room;
  readonly batches: RoomEvent[][] = [];
  readonly delivered: DeliverEffect[] = [];
  readonly commits: Turn[] = [];
  commitFails = false;
  alone = 0;
  discarded = 0;
  #awake = false;
  #handles = 0n;
  readonly #answer: (e: RoomEvent, kit: Kit) => Effect[];

  constructor(answer: (e: RoomEvent, kit: Kit) => Effect[], config: Partial<RoomConfig> = {}) {
    this.#answer = answer;
    this.room = new Room({
      kind,
      name: "r",
      term: "t",
      guest: this,
      storage: { get: () => undefined, list: () => ({ entries: [], more: false }) },
      effects: {
        commit: (turn) => {
          if (this.commitFails) throw new Error("disk full");
          this.commits.push(turn);
        },
        deliver: (e) => this.delivered.push(e),
        done: () => undefined,
      },
      now: () => 1000,
      seed: () => new Uint8Array(limits.seedSize),
      time: 0,
      alarm: 0,
      reason: "cold",
      connections: [],
      culprits: [],
      ...config,
    });
  }

  turn(batch: Uint8Array): Uint8Array {
    const b = batchOf(batch);
    this.batches.push(b.events);
    try {
      const out = effectsBytes(b.events.flatMap((e) => this.#answer(e, this)));
      this.#awake = true;
      return out;
    } catch (fault) {
      this.#awake = false;
      throw fault;
    }
  }

  handle(): bigint {
    return ++this.#handles;
  }

  alive(): boolean {
    return this.#awake;
  }

  sleep(): void {
    this.#awake = false;
  }

  discard(): void {
    this.discarded++;
    this.#awake = false;
  }

  isolate(): boolean {
    return this.alone++ === 0;
  }

  types(): string[] {
    return this.batches.map((b) => b.map((e) => e.type).join(" "));
  }
}

const texts = (e: RoomEvent) => (e.type === "message" ? new TextDecoder().decode(e.data) : "");

function boomer(cause: Trap["trap"] = "panic") {
  return new Kit((e) => {
    if (texts(e) === "boom") throw new Trap(cause, "boom");
    return [];
  });
}

test("a start goes before the first event, in the same batch", () => {
  const kit = boomer();
  kit.room.run([connect(1), message(1, "hi")]);
  assert.deepEqual(kit.types(), ["start connect message"]);
});

test("a batch that traps is run singly, and its culprit is rejected", () => {
  const kit = boomer();
  kit.room.run([connect(1), connect(2)]);
  const result = kit.room.run([message(1, "a"), message(1, "boom"), message(2, "b")]);
  assert.equal(result.rejections.length, 1);
  assert.deepEqual(kit.types().slice(1), [
    "message message message",
    "start",
    "message",
    "message",
    "start rejected",
    "message",
  ]);
  const rejected = kit.batches.flat().find((e) => e.type === "rejected");
  assert.ok(rejected?.type === "rejected" && texts(eventOf(rejected.event)) === "boom");
  assert.equal(kit.room.table.length, 2, "the connections stay");
});

test("a trap near a limit is tried once more in a memory of the room's own", () => {
  for (const [cause, alone] of [
    ["fuel", 1],
    ["memory", 1],
    ["panic", 0],
  ] as const) {
    let fails = 2; // in the batch, and alone in the shared memory
    const kit = new Kit((e) => {
      if (texts(e) === "boom" && fails-- > 0) throw new Trap(cause, "boom");
      return [];
    });
    kit.room.run([connect(1)]);
    const { rejections } = kit.room.run([message(1, "boom")]);
    assert.equal(kit.alone, alone, cause);
    assert.equal(rejections.length, alone === 1 ? 0 : 1, cause);
  }
});

test("garbage traps and has no effect", () => {
  const kit = new Kit((e) => (texts(e) === "bad" ? [{ type: "tags", connection: 1n, tags: ["late"] }] : []));
  kit.room.run([connect(1)]);
  const { rejections } = kit.room.run([message(1, "bad")]);
  assert.equal(rejections[0]?.trap.trap, "garbage");
  assert.equal(kit.discarded, 2, "in the batch, and alone");
  assert.deepEqual(kit.room.table.get(1n)?.connection.tags, []);
});

test("a commit that fails voids the turn: nothing is delivered, the room starts again", () => {
  const kit = new Kit((e) => {
    if (texts(e) !== "put") return [];
    return [
      { type: "put", key: new Uint8Array([1]), value: none },
      { type: "send", connection: 1n, encoding: "text", key: "", data: none },
    ];
  });
  kit.room.run([connect(1)]);
  kit.commitFails = true;
  const result = kit.room.run([message(1, "put")]);
  assert.ok(result.error instanceof Trap && result.error.trap === "storage");
  assert.deepEqual(result.unrun.map(texts), ["put"]);
  assert.deepEqual(kit.delivered, []);
  assert.equal(kit.room.started, false);
  kit.commitFails = false;
  assert.equal(kit.room.run([message(1, "put")]).error, undefined);
  assert.equal(kit.delivered.length, 1);
  assert.deepEqual(kit.types().at(-1), "start message");
});

test("a room that does not start runs nothing", () => {
  const kit = new Kit((e) => {
    if (e.type === "start") throw new Trap("panic", "no start");
    return [];
  });
  const { error, unrun } = kit.room.run([connect(1)]);
  assert.ok(error instanceof StartError);
  assert.equal(unrun.length, 1);
  assert.equal(kit.room.table.length, 0);
});

test("a connection that the room closes brings its close event in the same run, and no more messages", () => {
  const kit = new Kit((e) =>
    texts(e) === "kick" ? [{ type: "close", connection: 1n, code: codes.kicked, reason: "out" }] : [],
  );
  kit.room.run([connect(1)]);
  kit.room.run([message(1, "kick")]);
  kit.room.run([message(1, "unheard")]);
  assert.deepEqual(kit.types(), ["start connect", "message", "close"]);
  assert.equal(kit.room.table.length, 0);
});

test("members: at the limit and one past it", () => {
  const kit = boomer();
  kit.room.run([connect(1), connect(2), connect(3), connect(4)]);
  assert.equal(kit.room.table.length, 3);
  assert.deepEqual(kit.delivered, [{ type: "close", connection: 4n, code: codes.roomFull, reason: "room_full" }]);
});

test("an alarm that is not set any more does not ring, and one that rang is over", () => {
  const kit = new Kit((e) => (texts(e) === "set" ? [{ type: "alarm", time: 5000 }] : []));
  kit.room.run([connect(1), message(1, "set")]);
  assert.equal(kit.room.alarm, 5000);
  kit.room.run([{ type: "alarm", scheduled: 4000, attempt: 0 }]);
  assert.equal(kit.batches.length, 1);
  kit.room.run([{ type: "alarm", scheduled: 5000, attempt: 0 }]);
  assert.equal(kit.room.alarm, 0);
  assert.equal(kit.commits.at(-1)?.alarm, 0);
});

test("what another room tells is not told again once it has made the room trap", () => {
  const told: RoomEvent = { type: "told", fromKind: "k", fromRoom: "x", id: 7n, data: none };
  const trap = (e: RoomEvent) => {
    if (e.type === "told") throw new Trap("panic", "told");
    return [];
  };
  const kit = new Kit(trap);
  assert.equal(kit.room.run([told]).rejections[0]?.known, false);
  const next = new Kit(trap, { culprits: kit.room.culprits });
  assert.equal(next.room.run([told]).rejections[0]?.known, true);
});

test("time never goes back", () => {
  const times = [1000, 900, 1100];
  const kit = boomer();
  const seen: number[] = [];
  const room = new Room({
    kind,
    name: "r",
    term: "t",
    guest: {
      turn: (b) => {
        seen.push(batchOf(b).time);
        return kit.turn(b);
      },
      handle: () => kit.handle(),
      alive: () => kit.alive(),
      sleep: () => kit.sleep(),
      discard: () => kit.discard(),
      isolate: () => false,
    },
    storage: { get: () => undefined, list: () => ({ entries: [], more: false }) },
    effects: { commit: () => undefined, deliver: () => undefined, done: () => undefined },
    now: () => times.shift() ?? 0,
    seed: () => new Uint8Array(limits.seedSize),
    time: 950,
    alarm: 0,
    reason: "wake",
    connections: [{ connection: connection(1) }],
    culprits: [],
  });
  for (const text of ["a", "b", "c"]) room.run([message(1, text)]);
  assert.deepEqual(seen, [1000, 1000, 1100]);
});

test("attachments of all connections fit into one start event, at the limit and one past it", () => {
  const kit = boomer();
  const { table } = kit.room;
  const each = connection(1, { user: "" });
  let id = 0;
  while (table.fits(48 + limits.maxAttachment)) {
    id++;
    table.add({ ...each, id: BigInt(id), attachment: new Uint8Array(limits.maxAttachment) });
  }
  const left = maxTable - id * (48 + limits.maxAttachment);
  assert.ok(table.fits(left));
  assert.ok(!table.fits(left + 1));
});

test("the largest connection fits into a socket's attachment", () => {
  const c = connection(1, {
    id: (1n << 64n) - 1n,
    user: "u".repeat(limits.maxUser),
    claims: new Uint8Array(limits.maxClaims),
    protocol: "p".repeat(limits.maxProtocol),
    tags: Array.from({ length: limits.maxTags }, () => "t".repeat(limits.maxTag)),
    attachment: new Uint8Array(limits.maxAttachment),
    since: limits.maxTime,
  });
  const v = {
    state: "closing" as const,
    code: 4999,
    reason: "r".repeat(limits.maxCloseReason),
    heard: limits.maxTime,
    expires: limits.maxTime,
    connection: c,
  };
  const b = envelopeBytes(v);
  assert.ok(b.length < maxEnvelope - 512, `${b.length} bytes; the platform's own encoding adds a few`);
  assert.deepEqual(envelopeOf(b), v);
  assert.equal(envelopeOf(b.subarray(1)), undefined);
  assert.equal(envelopeOf("something else"), undefined);
});

test("a bucket gives its burst, then its rate", () => {
  const b = new Bucket();
  for (let i = 0; i < 3; i++) assert.equal(b.take(1000, 10, 3), 0);
  assert.equal(b.take(1000, 10, 3), 100);
  assert.equal(b.take(1100, 10, 3), 0);
  assert.ok(b.take(900, 10, 3) > 0, "time that goes back refills nothing");
});

test("waiting times grow and are bounded", () => {
  assert.deepEqual([1, 2, 7, 100].map(backOff), [1000, 2000, 60_000, 60_000]);
  assert.deepEqual([0, 1, 4].map(alarmDelay), [2000, 4000, 32_000]);
});
