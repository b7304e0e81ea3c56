// What rooms cost: memory, also when many come and go, and waking up.

import type { Client, Host } from "../test/harness.ts";
import { median, print, timed } from "./figures.ts";
import { hs256 } from "./tokens.ts";

async function until(c: Client, type: string): Promise<void> {
  while (!String(await c.next()).includes(`"type":"${type}"`));
}

/** A client of a chat room of the bench worker who has published. */
async function enter(bench: Host, room: string): Promise<Client> {
  const c = await bench.dial(bench.at(`/chat/${room}`), ["oriel.v1.json"]);
  await c.ask('{"type":"hello"}');
  c.send('{"type":"publish","seq":1,"event":"message","data":{"text":"hi"}}');
  await until(c, "ack");
  return c;
}

interface Load {
  bytes: number;
  rooms: number;
  forgotten: number;
}

async function load(bench: Host): Promise<Load> {
  const r = await fetch(bench.at("/chat/memory-0?report=1"));
  return ((await r.json()) as { instance: Load }).instance;
}

/** 300 chat rooms with one client each, awake in one isolate. */
export async function memory(bench: Host): Promise<void> {
  const rooms = 300;
  await enter(bench, "memory-0");
  const before = (await load(bench)).bytes;
  for (let i = 1; i <= rooms; i++) await enter(bench, `memory-${i}`);
  print("edge_memory_per_chat_room", ((await load(bench)).bytes - before) / rooms / 1024, "KiB");
}

/**
 * 5,000 rooms that wake and hibernate in turn, some at once: each is put to sleep, woken by its client's leaving, and
 * left to the platform. Those of the last seconds are in memory yet, so it is flat when it stops growing.
 */
export async function manyRooms(bench: Host): Promise<void> {
  const rooms = 5000;
  const abreast = 4;
  const sizes: number[] = [];
  let next = 0;
  const lane = async () => {
    while (next < rooms) {
      const i = ++next;
      const c = await enter(bench, `turn-${i}`);
      await bench.sleep(`chat/turn-${i}`, "Chat");
      c.ws.terminate();
      if (i % 1000 === 0) sizes.push((await load(bench)).bytes);
    }
  };
  await Promise.all(Array.from({ length: abreast }, lane));
  for (const [i, bytes] of sizes.entries()) print(`edge_memory_${i + 1}000_rooms`, bytes / 1024, "KiB");
  const [, second = Number.NaN] = sizes;
  print("edge_memory_growth_per_later_room", ((sizes.at(-1) ?? Number.NaN) - second) / 3000 / 1024, "KiB");
  print("edge_rooms_in_memory_of_5000", (await load(bench)).rooms, "rooms");
}

/** A publish and its ack, in a room that is awake and in one that has just been put to sleep. */
export async function wake(app: Host): Promise<void> {
  const c = await app.dial(app.url("chat/wake"), ["oriel.v1.json", `bearer.${hs256("ann")}`]);
  await c.ask('{"type":"hello"}');
  let seq = 0;
  const publish = () => {
    c.send(`{"type":"publish","seq":${++seq},"event":"message","data":{"text":"hi"}}`);
    return until(c, "ack");
  };
  for (let i = 0; i < 20; i++) await publish();
  const awake: number[] = [];
  const asleep: number[] = [];
  for (let i = 0; i < 60; i++) {
    await app.sleep("chat/wake", "Shipped");
    asleep.push(await timed(publish));
    awake.push(await timed(publish));
  }
  print("edge_publish_ack_awake_p50", median(awake), "ms");
  print("edge_publish_ack_asleep_p50", median(asleep), "ms");
  print("edge_wake_p50", median(asleep) - median(awake), "ms");
}
