// A credential as the first message: until it has come, a socket is the object's and the room knows nothing of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client as SessionClient } from "../../rooms/client/ts/src/index.ts";
import { appWorker, type Client, type Close, Host, patience, until } from "./harness.ts";

/** As edge/host/waiting.ts has it. */
const maxWaiting = 16;

const worker = { ...appWorker, vars: { ...appWorker.vars, ORIEL_FIRST_MESSAGE: "1" } };

let host: Host;
/** The end of a client that says nothing, and when it came. */
let silent: Promise<Close & { after: number }>;
before(async () => {
  host = await Host.start(worker);
  const c = await stranger("silent");
  const began = performance.now();
  silent = closed(c).then((close) => ({ ...close, after: performance.now() - began }));
}, patience);
after(() => host.stop());

const stranger = (room: string, headers: Record<string, string> = {}): Promise<Client> =>
  host.dial(host.url(`chat/${room}`), ["oriel.v1.json"], headers);

async function auth(user: string): Promise<string> {
  const r = await fetch(host.at(`/v1/dev/token?user=${user}`));
  const { token } = (await r.json()) as { token: string };
  return JSON.stringify({ type: "auth", token });
}

/**
 * The close of a client that has never sent a message: locally its TCP connection stays open behind the close
 * frame, until the object sleeps.
 */
async function closed(c: Client): Promise<Close> {
  await until(async () => c.ws.readyState === c.ws.OPEN, false, 20_000);
  c.ws.terminate();
  return c.closed;
}

/** Sends the credential and hello in one breath, as a client does that waits for nothing. */
async function enter(c: Client, user: string): Promise<string> {
  c.send(await auth(user));
  return String(await c.ask('{"type":"hello"}'));
}

test("the first message lets a client in; what follows it is the room's", async () => {
  const c = await stranger("enter");
  assert.equal(c.ws.protocol, "oriel.v1.json");
  assert.match(await enter(c, "ann"), /^{"type":"welcome".*"user":"ann"/);
  await host.sleep("chat/enter", "Shipped");
  c.send('{"type":"publish","seq":1,"event":"message","data":{"text":"hi"}}');
  assert.match(String(await c.next()), /"ack"|"from":"ann"/);
});

test("the client's option", async () => {
  const credential = async () => (JSON.parse(await auth("cleo")) as { token: string }).token;
  const c = new SessionClient({ url: host.at("/"), kind: "chat", room: "option", credential, firstMessage: true });
  assert.equal(await c.open().publish("message", { text: "hi" }), 1);
  assert.ok(c.presence.members?.has("cleo"));
  await c.close();
});

test("who has a credential elsewhere is let in as ever", async () => {
  const { token } = JSON.parse(await auth("bob")) as { token: string };
  const c = await host.dial(host.url("chat/enter"), ["oriel.v1.json", `bearer.${token}`]);
  assert.match(String(await c.ask('{"type":"hello"}')), /^{"type":"welcome"/);
});

test("what is no credential is refused with the table's codes", async () => {
  for (const [message, code, name] of [
    ['{"type":"hello"}', 4205, "wrong_order"],
    ['{"type":"auth","token":"a.b.c"}', 4100, "unauthenticated"],
    ['{"type":"auth","token":7}', 4204, "malformed"],
    ["\u{1f600}", 4204, "malformed"],
    ["x".repeat(5000), 4206, "too_large"],
    ["x".repeat(100_000), 4206, "too_large"],
    [new Uint8Array(3), 4215, "unsupported_encoding"],
  ] as const) {
    const c = await stranger("refused");
    c.send(message);
    const close = await c.closed;
    assert.deepEqual([close.code, close.reason.split(";")[0]], [code, name]);
  }
});

test("no header of a client is its first message", async () => {
  const c = await stranger("header", { "oriel-first-message": encodeURIComponent(await auth("ann")) });
  c.send('{"type":"hello"}');
  assert.equal((await c.closed).code, 4205);
});

test("strangers are unknown to the room, and make none", async () => {
  await stranger("empty");
  assert.equal((await host.bill("chat/empty")).rowsWritten, 0);
  assert.equal((await host.bill("chat/empty")).why, "a client has not said who it is");

  const ann = await stranger("known");
  assert.match(await enter(ann, "ann"), /^{"type":"welcome"/);
  await stranger("known");
  const headers = { authorization: `Bearer ${(JSON.parse(await auth("eve")) as { token: string }).token}` };
  const r = await host.fetch("chat/known", { headers }, {}, "/presence");
  const { counts } = (await r.json()) as { counts: { connections: number } };
  assert.equal(counts.connections, 1);
  assert.deepEqual(ann.waiting, []);
});

test("few wait: beyond the limit the one goes that has waited longest", async () => {
  const all: Client[] = [];
  for (let i = 0; i < maxWaiting; i++) all.push(await stranger("crowd"));
  const first = all[0] as Client;
  const last = await stranger("crowd");
  const { code, reason } = await closed(first);
  assert.equal(code, 4001);
  assert.match(reason, /^overloaded; retry=1000/);
  assert.match(await enter(last, "ann"), /^{"type":"welcome"/);
  assert.match(await enter(all[1] as Client, "bob"), /^{"type":"welcome"/);
  await stranger("crowd"); // there is room again
  assert.equal(all[2]?.ws.readyState, 1);
});

test("a client that leaves without a word leaves nothing", async () => {
  const c = await stranger("leave");
  await c.end();
  await until(async () => (await host.bill("chat/leave")).why.startsWith("idle"), true);
});

test("who says nothing is closed after 10 s", async () => {
  const { code, reason, after } = await silent;
  assert.equal(code, 4100);
  assert.equal(reason, "unauthenticated; no credential came in time");
  assert.ok(after > 9_000, `after ${after} ms`);
});
