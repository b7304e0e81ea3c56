// People publish while workerd is killed with -9 at random moments and started again: what was acknowledged is in
// the history, once, in order, where it was acknowledged. ORIEL_CRASH_SEED and ORIEL_CRASH_CYCLES repeat and prolong it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { Client } from "../../rooms/client/ts/src/index.ts";

/** A server that can be killed: that of the page's tests, here wrangler dev. */
interface Killable {
  url: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  remove(): Promise<void>;
}

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
process.env.ORIEL_BIN = file("./oriel.sh");
const { Server } = (await import(file("../../selfhost/page/test/server.mjs"))) as { Server: new () => Killable };

const server = new Server();
const clients: Client[] = [];
after(async () => {
  await Promise.all(clients.map((c) => c.close()));
  await server.remove();
});

/** An event of the history, as a reader sees it that shares no code with the client. */
interface Entry {
  offset: number;
  time: number;
  data: { text: string };
}

/** What a publisher was told: its n-th message is at an offset. */
interface Claim {
  from: string;
  n: number;
  offset: number | undefined;
}

async function token(user: string): Promise<string> {
  const r = await fetch(`${server.url}/v1/dev/token?user=${user}`);
  return ((await r.json()) as { token: string }).token;
}

function client(user: string): Client {
  const c = new Client({
    url: server.url,
    kind: "chat",
    room: "crash",
    credential: () => token(user),
    backoff: { base: 20, max: 200 },
  });
  clients.push(c);
  return c.open();
}

/** Reads a room from its first event to its last. */
async function history(): Promise<Entry[]> {
  const ws = new WebSocket(`${server.url}/v1/rooms/chat/crash`, ["oriel.v1.json", `bearer.${await token("auditor")}`]);
  const ask = (message: object, type: string) =>
    new Promise<{ data: { events: Entry[]; more: boolean } }>((resolve, reject) => {
      const hear = (frame: Buffer) => {
        const m = JSON.parse(frame.toString()) as { type: string; data: { events: Entry[]; more: boolean } };
        if (m.type === "error") reject(new Error(frame.toString()));
        if (m.type !== type) return;
        ws.off("message", hear);
        resolve(m);
      };
      ws.on("message", hear);
      ws.send(JSON.stringify(message));
    });
  await new Promise((resolve) => ws.once("open", resolve));
  await ask({ type: "hello" }, "welcome");
  const all: Entry[] = [];
  for (let id = 1; ; id++) {
    const data = { after: all.at(-1)?.offset ?? 0, limit: 200 };
    const { data: page } = await ask({ type: "request", id, event: "history", data }, "response");
    all.push(...page.events);
    if (page.more && page.events.length > 0) continue;
    ws.terminate();
    return all;
  }
}

/** Compares a history with all that its publishers were told. */
function faults(got: readonly Entry[], claims: readonly Claim[]): string[] {
  const list: string[] = [];
  const at = new Map<string, number>();
  let time = 0;
  for (const [i, e] of got.entries()) {
    if (e.offset !== i + 1) list.push(`event ${i + 1} has offset ${e.offset}`);
    if (e.time < time) list.push(`time goes back at ${e.offset}`);
    time = e.time;
    if (at.has(e.data.text)) list.push(`${e.data.text} is at ${at.get(e.data.text)} and at ${e.offset}`);
    at.set(e.data.text, e.offset);
  }
  const last = new Map<string, number>();
  for (const { from, n, offset } of claims.toSorted((a, b) => a.n - b.n)) {
    const text = `${from}/${n}`;
    const there = at.get(text);
    at.delete(text);
    if (offset === undefined || there !== offset) list.push(`${text} was acknowledged at ${offset} and is at ${there}`);
    if (there !== undefined && there <= (last.get(from) ?? 0))
      list.push(`${text} comes before what was said before it`);
    last.set(from, there ?? 0);
  }
  for (const [text, offset] of at) list.push(`${text} at ${offset} was published by nobody`);
  return list;
}

test("the check finds faults", () => {
  const claims: Claim[] = [];
  const got: Entry[] = [];
  for (let i = 0; i < 20; i++) {
    claims.push({ from: `p${i % 2}`, n: i >> 1, offset: i + 1 });
    got.push({ offset: i + 1, time: i, data: { text: `p${i % 2}/${i >> 1}` } });
  }
  assert.deepEqual(faults(got, claims), []);
  const swapped = got.map((e) => ({ ...e, data: got[e.offset === 3 ? 4 : e.offset === 5 ? 2 : e.offset - 1]?.data }));
  const plants: Record<string, [readonly Entry[], readonly Claim[]]> = {
    lost: [got.filter((e) => e.offset !== 7).map((e, i) => ({ ...e, offset: i + 1 })), claims],
    "lost at the end": [got.slice(0, 19), claims],
    twice: [[...got, { offset: 21, time: 99, data: { text: "p0/3" } }], claims],
    "another order": [swapped as Entry[], claims.map((c) => ({ ...c, offset: undefined }))],
    "published by nobody": [got, claims.slice(1)],
    "time goes back": [got.map((e) => ({ ...e, time: -e.time })), claims],
  };
  for (const [name, [g, c]] of Object.entries(plants)) assert.notDeepEqual(faults(g, c), [], name);
});

const cycles = Number(process.env.ORIEL_CRASH_CYCLES ?? 6);

test("workerd is killed and comes back: nothing acknowledged is lost, nothing comes twice", {
  timeout: 60_000 + cycles * 15_000,
}, async () => {
  const seed = Number(process.env.ORIEL_CRASH_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`ORIEL_CRASH_SEED=${seed}`);
  let state = seed;
  /** Below n (mulberry32). */
  const random = (n: number) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };

  await server.start();
  const heard: string[] = [];
  const gaps: string[] = [];
  const reader = client("reader");
  reader.on("event", (e) => {
    if (e.event === "message") heard.push((e.data as { text: string }).text);
  });
  reader.on("gap", (g) => gaps.push(g.reason));
  const claims: Claim[] = [];
  const next = new Map<string, number>();
  const open = new Set<Promise<void>>();
  const people = ["ann", "bob", "cyd"].map((name) => ({ name, client: client(name), lost: 0 }));
  for (const p of people)
    p.client.on("state", (s) => {
      if (s.name === "waiting") p.lost++;
    });
  const publish = (p: (typeof people)[0]): Promise<void> => {
    const n = next.get(p.name) ?? 0;
    next.set(p.name, n + 1);
    const done = p.client.publish("message", { text: `${p.name}/${n}` }).then((offset) => {
      claims.push({ from: p.name, n, offset });
      open.delete(done);
    });
    open.add(done);
    return done;
  };
  // From here on the reader has to hear everything.
  claims.push({ from: "reader", n: 0, offset: await reader.publish("message", { text: "reader/0" }) });
  await Promise.all(people.map(publish));

  for (let cycle = 0; cycle < cycles; cycle++) {
    for (let left = 5 + random(15); left > 0; left--) {
      await Promise.all(people.map(publish));
      await pause(random(20)); // within the rate of the kind
    }
    for (const p of people) for (let i = 0; i < 4; i++) publish(p); // unanswered when it happens
    await pause(random(6));
    await server.kill();
    for (const p of people) publish(p); // in vain at first
    await server.start();
    await Promise.all(open);
  }
  for (const p of people) assert.ok(p.lost >= cycles, `${p.name} lost ${p.lost} connections`);
  const got = await history();
  assert.deepEqual(faults(got, claims), []);
  while (heard.length < got.length) await pause(10); // or the test's timeout
  const texts = got.map((e) => e.data.text);
  assert.deepEqual(heard, texts, "the reader heard the same");
  assert.deepEqual(gaps, []);
  console.log(`edge_crash ${got.length} events, ${cycles} kills`);
});
