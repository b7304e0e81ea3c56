// A room of 1,000, beside partyserver's: how many messages reach their readers in a second.

import { setTimeout as pause } from "node:timers/promises";
import type { Client, Host } from "../test/harness.ts";
import { median, print } from "./figures.ts";
import { Reader } from "./reader.ts";

/** Members of a room: some publish in turn, the others only read. */
const publishers = 20;
const readers = 980;
const members = publishers + readers;
/** Messages that are under way at once. */
const abreast = 4;
/** Messages of one round. */
const messages = 60;
/** The first round is warm-up. */
const rounds = 8;
/** How long a round may take, in ms: on a quiet machine it is half a second. */
const patience = 120_000;

interface Crowd {
  readers: Reader[];
  publishers: { client: Client; seq: number }[];
  /** Messages a second, by round. */
  rates: number[];
}

async function gather(bench: Host, path: string, protocol: string): Promise<Crowd> {
  const crowd: Crowd = { readers: [], publishers: [], rates: [] };
  const hello = '{"type":"hello"}';
  for (let i = 0; i < members; i++) {
    const url = bench.at(`${path}?user=u${i}`);
    if (i >= publishers) {
      const r = await Reader.dial(url, protocol);
      if (protocol !== "") r.send(hello);
      crowd.readers.push(r);
      continue;
    }
    const client = await bench.dial(url, protocol === "" ? [] : [protocol]);
    if (protocol !== "") client.send(hello);
    crowd.publishers.push({ client, seq: 0 });
  }
  return crowd;
}

const heard = ({ readers }: Crowd) => readers.reduce((n, r) => n + r.frames, 0);

/** Waits until nothing comes any more, such as word of who joined. */
async function quiet(crowd: Crowd): Promise<void> {
  for (let before = -1; before !== heard(crowd); ) {
    before = heard(crowd);
    await pause(600);
  }
}

/** One round; a publisher's next message waits for its own copy of the last. */
async function round(crowd: Crowd): Promise<void> {
  await quiet(crowd);
  const before = heard(crowd);
  const began = performance.now();
  let next = 0;
  const publish = async () => {
    while (next < messages) {
      const p = crowd.publishers[next++ % publishers] as Crowd["publishers"][number];
      const text = `m${next}-${"x".repeat(32)}`;
      p.client.send(JSON.stringify({ type: "publish", seq: ++p.seq, event: "message", data: { text } }));
      while (!String(await p.client.next()).includes(text));
    }
  };
  await Promise.all(Array.from({ length: abreast }, publish));
  while (heard(crowd) < before + messages * readers) {
    if (performance.now() - began > patience) throw new Error("messages of a broadcast are lost");
    await pause(1);
  }
  crowd.rates.push((messages * readers * 1000) / (performance.now() - began));
}

/** A durable publish to a chat room, beside a plain broadcast of the same size by partyserver. */
export async function broadcast(bench: Host): Promise<void> {
  const chat = await gather(bench, "/chat/crowd", "oriel.v1.json");
  const party = await gather(bench, "/party/crowd", "");
  const inMemory = await gather(bench, "/party-in-memory/crowd", "");
  const crowds = [chat, party, inMemory];
  for (let i = 0; i < rounds; i++) for (const crowd of crowds) await round(crowd);
  for (const crowd of crowds) for (const r of crowd.readers) r.close();
  const rate = (c: Crowd) => median(c.rates.slice(1));
  print("edge_broadcast_1000", rate(chat), "messages/s");
  print("edge_broadcast_1000_partyserver", rate(party), "messages/s");
  print("edge_broadcast_1000_ratio", rate(chat) / rate(party), "ratio");
  print("edge_broadcast_1000_partyserver_in_memory", rate(inMemory), "messages/s");
  print("edge_broadcast_1000_in_memory_ratio", rate(chat) / rate(inMemory), "ratio");
}
