// The pool of instances, without a platform: what becomes of rooms that nobody holds any more.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { encodeBatch } from "../host/batch.ts";
import type { Guest } from "../host/guest.ts";
import { Journal } from "../host/log.ts";
import { Pool } from "../host/pool.ts";
import { Encoder } from "../host/wire.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const module = new WebAssembly.Module(readFileSync(new URL("../build/test/probe.wasm", import.meta.url)));
const storage = { get: () => undefined, list: () => ({ entries: [], more: false }) };

/** Starts a room in the pool's shared memory. */
function start(pool: Pool, room: string): Guest {
  const guest = pool.guest(new Journal(room));
  const e = new Encoder();
  const event = { type: "start", kind: "probe", room, reason: "cold", term: "t", alarm: 0, connections: [] } as const;
  const batch = { handle: guest.handle(), time: 1, seed: new Uint8Array(32), storeAway: false };
  encodeBatch(e, { ...batch, events: [{ ...event, connections: [] }] });
  guest.turn(e.view(), storage, 0);
  return guest;
}

test("a room whose object was collected is forgotten by the next turn of another", async () => {
  const pool = new Pool(module);
  const held = start(pool, "held");
  for (let i = 0; i < 10; i++) start(pool, `gone-${i}`);
  assert.equal(pool.load.rooms, 11);
  // The collector tells of what it found in a later task, some of it perhaps after another round.
  for (let i = 0; pool.load.rooms > 1; i++) {
    assert.ok(i < 100, `${pool.load.rooms} rooms are left`);
    collect();
    await pause(1);
    start(pool, "other").sleep();
  }
  assert.ok(held.alive(1n));
});
