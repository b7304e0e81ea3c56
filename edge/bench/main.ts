// The edge's benchmarks: one line for each figure, "name value unit".
//
//   npm run bench:edge
//
// All on one machine: local workerd, no network. What only a deployment shows is not here.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { appWorker, type Client, Host } from "../test/harness.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const benchWorker = { configPath: fileURLToPath(new URL("./wrangler.toml", import.meta.url)) };

const print = (name: string, value: number, unit: string) =>
  console.log(`${name} ${value.toFixed(value < 100 ? 2 : 0)} ${unit}`);

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

async function timed(f: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await f();
  return performance.now() - began;
}

async function token(app: Host, user = "ann"): Promise<string> {
  const r = await fetch(app.at(`/v1/dev/token?user=${user}`));
  return ((await r.json()) as { token: string }).token;
}

async function until(c: Client, type: string): Promise<void> {
  while (!String(await c.next()).includes(`"type":"${type}"`));
}

/** What a deployment uploads, by wrangler's own count. */
function uploadSize(): void {
  const args = ["node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run", "--outdir", "edge/build/upload"];
  const out = execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  const kib = Number(/gzip: ([\d.]+) KiB/.exec(out)?.[1]);
  print("edge_upload_gzip", kib, "KiB");
  print("edge_upload_gzip_of_3MiB", kib / 3072, "ratio");
}

/** Chat rooms with one client each, in one isolate. */
async function memory(host: Host): Promise<void> {
  const rooms = 300;
  const bytes = async () => {
    const r = await fetch(host.at("/chat/memory-0?report=1"));
    return ((await r.json()) as { instance: { bytes: number } }).instance.bytes;
  };
  const enter = async (i: number) => {
    const c = await host.dial(host.at(`/chat/memory-${i}`), ["oriel.v1.json"]);
    await c.ask('{"type":"hello"}');
    c.send('{"type":"publish","seq":1,"event":"message","data":{"text":"hi"}}');
    await until(c, "ack");
  };
  await enter(0);
  const before = await bytes();
  for (let i = 1; i <= rooms; i++) await enter(i);
  print("edge_memory_per_chat_room", ((await bytes()) - before) / rooms / 1024, "KiB");
}

/** A publish and its ack, in a room that is awake and in one that has just been put to sleep. */
async function wake(app: Host): Promise<void> {
  const c = await app.dial(app.url("chat/wake"), ["oriel.v1.json", `bearer.${await token(app)}`]);
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
  print("edge_publish_ack_awake_p50", quantile(awake, 0.5), "ms");
  print("edge_publish_ack_asleep_p50", quantile(asleep, 0.5), "ms");
  print("edge_wake_p50", quantile(asleep, 0.5) - quantile(awake, 0.5), "ms");
}

/**
 * Connects in turn through the whole worker, a new user each time, and through a bare one before an empty
 * object. The sockets stay open, so that no end of one is measured with the next.
 */
async function connect(app: Host, bare: Host): Promise<void> {
  const ours: number[] = [];
  const theirs: number[] = [];
  const warm = 30;
  for (let i = 0; i < warm + 150; i++) {
    const bearer = `bearer.${await token(app, `user-${i}`)}`;
    const a = await timed(() => app.dial(app.url("chat/connect"), ["oriel.v1.json", bearer]));
    const b = await timed(() => bare.dial(bare.at("/bare/connect"), ["oriel.v1.json"]));
    if (i < warm) continue;
    ours.push(a);
    theirs.push(b);
  }
  print("edge_connect_p50", quantile(ours, 0.5), "ms");
  print("edge_connect_bare_p50", quantile(theirs, 0.5), "ms");
  print("edge_connect_ratio", quantile(ours, 0.5) / quantile(theirs, 0.5), "ratio");
}

/** What the front costs: a request that it refuses, beside one that never comes to it. */
async function front(app: Host): Promise<void> {
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const r = await fetch(app.at(path), { headers });
    await r.arrayBuffer();
  };
  const bearer = { authorization: `Bearer ${await token(app)}` };
  const without: number[] = [];
  const refused: number[] = [];
  for (let i = 0; i < 350; i++) {
    const a = await timed(() => get("/healthz"));
    const b = await timed(() => get("/v1/rooms/none/x", bearer));
    if (i < 50) continue;
    without.push(a);
    refused.push(b);
  }
  print("edge_front_verdict_p50", quantile(refused, 0.5) - quantile(without, 0.5), "ms");
}

uploadSize();
const app = await Host.start(appWorker);
const bare = await Host.start(benchWorker);
try {
  await front(app);
  await connect(app, bare);
  await wake(app);
  await memory(bare);
} finally {
  await Promise.all([app.stop(), bare.stop()]);
}
