// The whole worker, as it is deployed: the Go front, the objects, and the chat kind.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { visitValue } from "../host/visit.ts";
import { appWorker, type Client, Host, patience, until } from "./harness.ts";

let host: Host;
before(async () => {
  host = await Host.start(appWorker);
}, patience);
after(() => host.stop());

type Frame = { type: string } & Record<string, unknown>;

async function token(user: string): Promise<string> {
  const r = await fetch(host.at(`/v1/dev/token?user=${user}`));
  assert.equal(r.status, 200);
  return ((await r.json()) as { token: string }).token;
}

async function join(room: string, user: string, headers: Record<string, string> = {}): Promise<Client> {
  return host.dial(host.url(`chat/${room}`), ["oriel.v1.json", `bearer.${await token(user)}`], headers);
}

/** The next frame of a type; others are skipped. */
async function frame(c: Client, type: string): Promise<Frame> {
  for (;;) {
    const f = JSON.parse(String(await c.next())) as Frame;
    if (f.type === type) return f;
    if (f.type === "error") throw new Error(JSON.stringify(f));
  }
}

async function hello(c: Client, fields: Record<string, unknown> = {}): Promise<Frame> {
  c.send(JSON.stringify({ type: "hello", ...fields }));
  return frame(c, "welcome");
}

const publish = (c: Client, seq: number, text: string) =>
  c.send(JSON.stringify({ type: "publish", seq, event: "message", data: { text } }));

test("two clients chat", async () => {
  const a = await join("lobby", "ann");
  assert.equal(a.ws.protocol, "oriel.v1.json");
  const b = await join("lobby", "bob");
  await hello(a);
  await hello(b);
  publish(a, 1, "hi");
  const ack = await frame(a, "ack");
  const event = await frame(b, "event");
  assert.equal(event.from, "ann");
  assert.equal(event.offset, ack.offset);
  assert.deepEqual((event.data as { text: string }).text, "hi");
});

test("through sleep nothing is lost, and a session resumes", async () => {
  const a = await join("resume", "ann");
  const welcome = await hello(a);
  publish(a, 1, "one");
  const first = await frame(a, "event");
  await host.sleep("chat/resume", "Shipped");
  publish(a, 2, "two");
  const second = await frame(a, "event");
  assert.equal(Number(second.offset), Number(first.offset) + 1);
  a.ws.terminate();
  await host.sleep("chat/resume", "Shipped");
  const again = await join("resume", "ann");
  const resumed = await hello(again, {
    session: welcome.session,
    incarnation: first.incarnation,
    offset: first.offset,
  });
  assert.equal(resumed.resumed, true, JSON.stringify(resumed));
  const replayed = await frame(again, "event");
  assert.equal((replayed.data as { text: string }).text, "two");
});

test("nobody gets in without a credential, and no header helps", async () => {
  const visit = visitValue({ to: "socket", kind: "chat", room: "lobby", user: "root" });
  const c = await host.dial(host.url("chat/lobby"), ["oriel.v1.json"], { "oriel-visit": visit });
  const { code, reason } = await c.closed;
  assert.equal(code, 4100);
  assert.match(reason, /^unauthenticated/);
  const r = await host.fetch("chat/lobby", { headers: { "oriel-visit": visit } });
  assert.equal(r.status, 401);
  assert.equal(((await r.json()) as { code: string }).code, "unauthenticated");
});

test("the identity is the token's, whatever the headers say", async () => {
  const visit = visitValue({ to: "report", kind: "chat", room: "x", user: "root" });
  const a = await join("identity", "ann", { "oriel-visit": visit });
  const welcome = await hello(a);
  assert.match(JSON.stringify(welcome.members), /"user":"ann"/);
  assert.doesNotMatch(JSON.stringify(welcome), /root/);
});

test("an identity has any characters", async () => {
  const user = 'Änn "the ☕" 😀\\';
  const a = await join("characters", encodeURIComponent(user));
  const members = (await hello(a)).members as { user: string }[];
  assert.deepEqual(
    members.map((m) => m.user),
    [user],
  );
});

test("what is refused is refused with the table's codes", async () => {
  for (const [path, status, code] of [
    ["/v1/rooms/none/x", 404, "unknown_kind"],
    ["/v1/rooms/chat/a%2Fb", 400, "bad_name"],
    ["/v1/nothing", 404, "not_found"],
    ["/v1/dev/token", 400, "bad_name"],
  ] as const) {
    const r = await fetch(host.at(path));
    const body = (await r.json()) as { code: string };
    assert.deepEqual([r.status, body.code], [status, code], path);
  }
  const other = await host.dial(host.url("chat/lobby"), ["oriel.v1.json", `bearer.${await token("eve")}`], {
    origin: "https://evil.test",
  });
  assert.equal((await other.closed).code, 4200);
});

test("the front's instance serves all requests", async () => {
  await token("warm");
  const n = 50;
  const began = performance.now();
  for (let i = 0; i < n; i++) await token("ann");
  const each = (performance.now() - began) / n;
  console.log(`front_token_round_trip ${each.toFixed(2)} ms`);
  assert.ok(each < 1000); // far less than a start for each; front.test.ts counts instances
});

test("presence: where a user is, who is in a room, and who may ask", async () => {
  const a = await join("presence", "petra");
  await hello(a);
  const authorization = `Bearer ${await token("quinn")}`;
  const ask = async () => {
    const r = await fetch(host.at("/v1/presence/petra"), { headers: { authorization } });
    assert.equal(r.headers.get("cache-control"), "no-store");
    return ((await r.json()) as { rooms: { room: string }[] }).rooms.map((room) => room.room);
  };
  await until(ask, ["presence"]);
  const room = await host.fetch("chat/presence", { headers: { authorization } }, {}, "/presence");
  assert.match(await room.text(), /"user":"petra"/);
  const nobody = await fetch(host.at("/v1/presence/petra"));
  assert.equal(nobody.status, 401);
  await nobody.body?.cancel();
  await a.end();
  await until(ask, []);
});
