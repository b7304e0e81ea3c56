// What bad input gets from the whole worker, while somebody else in the room goes on. Everything that the table of the
// server's own tests names (selfhost/e2e, hostile_test.go and guest_test.go) has its test here or at the edge's other tests:
//
//   oversized frame, malformed or unknown envelope, wrong order, unknown kind, bad     here
//     room name, unknown subprotocol, missing or wrong token, too fast, broken
//     frames, no hello
//   invalid UTF-8                            here: the platform replaces it, so nobody is closed for it
//   too many members                         host.test.ts, "limits of a kind"; conformance_test.go, "the members of a kind"
//   half-open, a client that never reads     guest.test.ts
//   a guest that panics, loops, recurses,    conformance_test.go, "fault: ..."; host.test.ts, "trap: ..."
//     exhausts memory, exits, blocks
//   a guest that writes wild, returns        guest.test.ts
//     garbage, asks for absurd sizes
//   a row over 2 MB, a large attachment,     conformance_test.go, "fault: largevalue", the recording "rules", "ten tags";
//     more than 10 tags                      at the limit "the largest message, row and attachment"
//   a room at its socket limit               guest.test.ts
//   a message while the object resets        guest.test.ts (requests), client.test.ts (publishes)
//   a notification of anybody, of nonsense   here; watch.test.ts
//   a handshake that never ends              never reaches a worker: the platform's

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import type { Socket } from "node:net";
import { after, before, test } from "node:test";
import { Client as Oriel } from "../../rooms/client/ts/src/index.ts";
import { appWorker, type Client, Host, patience, until } from "./harness.ts";

const secret = "0123456789abcdef0123456789abcdef";
const room = "hostile";

let host: Host;
let bystander: Oriel;
let losses = 0;
/** A client that says nothing, from the beginning of these tests. */
let mute: Client;
/** One that says nothing but pings. */
let pinging: Client;
before(async () => {
  host = await Host.start({ ...appWorker, vars: { ORIEL_SECRET: secret } });
  bystander = new Oriel({ url: host.at("/"), kind: "chat", room, credential: async () => token() });
  bystander.on("state", (s) => {
    if (s.name === "waiting") losses++;
  });
  bystander.open();
  mute = await dial();
  pinging = await dial(undefined, ["oriel.v1.bin"]);
  assert.deepEqual(await pinging.ask(new Uint8Array([6])), new Uint8Array([0x19]));
  await goesOn();
}, patience);
after(async () => {
  await bystander.close();
  await host.stop();
});

/** A token as an identity provider would make it. */
function token(claims: object = {}, key = secret, alg = "HS256"): string {
  const part = (v: object) => Buffer.from(JSON.stringify(v)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const body = `${part({ alg, typ: "JWT" })}.${part({ sub: "mallory", iat: now - 7200, exp: now + 600, ...claims })}`;
  return `${body}.${alg === "none" ? "" : createHmac("sha256", key).update(body).digest("base64url")}`;
}

const bearer = (value: string) => ({ authorization: `Bearer ${value}` });

/** Connects as mallory. */
function dial(path = `chat/${room}`, protocols = ["oriel.v1.json"], headers: Record<string, string> = bearer(token())) {
  return host.dial(host.at(`/v1/rooms/${path}`), protocols, headers);
}

async function join(): Promise<Client> {
  const c = await dial();
  c.send(hello);
  await frame(c, '"welcome"');
  return c;
}

/** The next frame with a text in it. */
async function frame(c: Client, text: string): Promise<string> {
  for (;;) {
    const f = String(await c.next());
    if (f.includes(text)) return f;
  }
}

/** Nobody else noticed: the bystander's publish is acknowledged, on its first connection. */
async function goesOn(): Promise<void> {
  await bystander.publish("message", { text: "still here" });
  assert.equal(losses, 0, "the bystander lost its connection");
}

const hello = '{"type":"hello"}';
const publish = (seq: number, text = "x") => JSON.stringify({ type: "publish", seq, event: "message", data: { text } });
const signal = (data: string) => `{"type":"signal","event":"typing","data":${data}}`;

/** Writes bytes past the library, which would not send them. */
function raw(c: Client, ...bytes: number[]): void {
  (Reflect.get(c.ws, "_socket") as Socket).write(new Uint8Array(bytes));
}

const says =
  (...messages: (string | Uint8Array)[]) =>
  async () => {
    const c = await dial();
    for (const m of messages) c.send(m);
    return c;
  };

const closes: [name: string, attack: () => Promise<Client>, code: number, reason: string][] = [
  ["oversized frame", says(hello, signal(`"${"x".repeat(70_000)}"`)), 1009, "message_too_big"],
  ["oversized frame before hello", says("x".repeat(70_000)), 1009, "message_too_big"],
  ["no envelope", says("hello"), 4204, "malformed"],
  ["empty message", says(""), 4204, "malformed"],
  ["deep nesting", says("[".repeat(30_000)), 4204, "malformed"],
  ["unknown type", says('{"type":"greetings"}'), 4204, "malformed"],
  ["publish before hello", says(publish(1)), 4205, "wrong_order"],
  ["nothing but hello", says(...Array<string>(300).fill(hello)), 4005, "rate_limited"],
  ["a frame of the other sort", says(new TextEncoder().encode(hello)), 4215, "unsupported_encoding"],
  [
    "binary nonsense",
    async () => {
      const c = await dial(undefined, ["oriel.v1.bin"]);
      c.send(new Uint8Array(5).fill(0xff));
      return c;
    },
    4204,
    "malformed",
  ],
  ["unknown kind", () => dial("casino/room"), 4201, "unknown_kind"],
  ["bad room name", () => dial("chat/a%20b"), 4202, "bad_name"],
  ["dots for a room name", () => dial("chat/%2e%2e"), 4202, "bad_name"],
  ["long room name", () => dial(`chat/${"x".repeat(129)}`), 4202, "bad_name"],
  ["unknown subprotocol", () => dial(undefined, ["mqtt"]), 4203, "unknown_protocol"],
  ["no subprotocol", () => dial(undefined, []), 4203, "unknown_protocol"],
  [
    "no token",
    async () => {
      const c = await dial(undefined, undefined, {});
      c.send(hello);
      return c;
    },
    4100,
    "unauthenticated",
  ],
  ["nonsense for a token", () => dial(undefined, undefined, bearer("nonsense")), 4100, "unauthenticated"],
  [
    "another secret's token",
    () => dial(undefined, undefined, bearer(token({}, "x".repeat(32)))),
    4100,
    "unauthenticated",
  ],
  [
    "a token without signature",
    () => dial(undefined, undefined, bearer(token({}, "", "none"))),
    4100,
    "unauthenticated",
  ],
  ["an expired token", () => dial(undefined, undefined, bearer(token({ exp: 1_700_000_000 }))), 4101, "token_expired"],
  [
    "a token for other rooms",
    () => dial(undefined, undefined, bearer(token({ oriel: { rooms: ["chat/other"] } }))),
    4200,
    "forbidden",
  ],
  ["a token in the URL", () => dial(`chat/${room}?token=${token()}`, undefined, {}), 4100, "unauthenticated"],
  [
    "a strange origin",
    () => dial(undefined, undefined, { ...bearer(token()), origin: "https://evil.test" }),
    4200,
    "forbidden",
  ],
  [
    "too fast",
    async () => {
      const c = await join();
      for (let i = 0; i < 300; i++) c.send(signal("true"));
      return c;
    },
    4005,
    "rate_limited",
  ],
];

for (const [name, attack, code, reason] of closes) {
  test(`${name}: closed with ${reason}`, async () => {
    const got = await (await attack()).closed;
    assert.equal(got.code, code, got.reason);
    assert.equal(got.reason.split(";")[0], reason);
    await goesOn();
  });
}

for (const [name, message, code] of [
  ["no envelope later", '{"type":', "malformed"],
  ["unknown type later", '{"type":"greetings"}', "malformed"],
  ["deep nesting later", signal("[".repeat(20_000) + "]".repeat(20_000)), "malformed"],
  ["reserved field", '{"type":"signal","event":"x","room":"other"}', "malformed"],
  ["absurd number", '{"type":"request","id":1e400,"event":"x"}', "malformed"],
  ["unknown event", '{"type":"request","id":9,"event":"oriel.nothing"}', "unknown_event"],
  ["a forged notification", '{"type":"signal","event":"oriel.notify.x"}', "unknown_event"],
  ["a gap in the numbers", publish(9), "out_of_order"],
  ["more unasked", '{"type":"more"}', "wrong_order"],
  ["numbers far ahead", publish(Number.MAX_SAFE_INTEGER), "too_many_open"],
] as const) {
  test(`${name}: ${code}, and the connection stays`, async () => {
    const c = await join();
    c.send(message);
    await frame(c, `"code":"${code}"`);
    c.send(publish(1));
    await frame(c, '"ack"');
    await c.end();
    await goesOn();
  });
}

test("second hello: welcomed again, and the connection stays", async () => {
  const c = await join();
  c.send(hello);
  await frame(c, '"welcome"');
  c.send(publish(1));
  await frame(c, '"ack"');
  await c.end();
  await goesOn();
});

test("a notification reaches a user's device, from a backend only", async () => {
  const credential = async () => token({ sub: "nora" });
  const nora = new Oriel({ url: host.at("/"), kind: "chat", room: "quiet", device: "phone", credential });
  const heard = new Promise((resolve) => nora.on("notify", resolve));
  nora.open();
  await new Promise<void>((resolve) => nora.on("state", (s) => s.name === "open" && resolve()));
  const notify = (credential: string, query = "?event=order", body = '{"id":1017}') =>
    fetch(host.at(`/v1/users/nora/notify${query}`), { method: "POST", headers: bearer(credential), body });
  const shop = token({ sub: "shop", oriel: { actions: ["notify"] } });
  await until(async () => (await notify(shop)).json(), { devices: 1 });
  assert.deepEqual(await heard, { event: "order", data: { id: 1017 } });
  assert.equal((await notify(token())).status, 403);
  assert.equal((await notify("nonsense")).status, 401);
  assert.equal((await notify(shop, "")).status, 422);
  assert.equal((await notify(shop, "?event=e", "{")).status, 400);
  assert.equal((await notify(shop, "?event=e", `"${"x".repeat(16_384)}"`)).status, 413);
  assert.equal((await fetch(host.at("/v1/users/nora/notify?event=e"), { headers: bearer(shop) })).status, 405);
  await nora.close();
  await goesOn();
});

test("invalid UTF-8: the platform replaces it, and what comes of that is well-formed", async () => {
  const c = await join();
  const [head, tail] = publish(1, "a|b").split("|") as [string, string];
  const text = [...Buffer.from(head), 0xff, 0xfe, ...Buffer.from(tail)];
  raw(c, 0x81, 0x80 | text.length, 0, 0, 0, 0, ...text);
  const event = JSON.parse(await frame(c, '"event"')) as { data: { text: string } };
  assert.equal(event.data.text, "a\ufffd\ufffdb");
  await goesOn();
});

test("broken frames: the platform closes", async () => {
  for (const bytes of [
    [0xf1, 0x80, 0, 0, 0, 0], // reserved bits
    [0x83, 0x80, 0, 0, 0, 0], // reserved opcode
    [0x80, 0x80, 0, 0, 0, 0], // a continuation of nothing
  ]) {
    const c = await join();
    raw(c, ...bytes);
    const { code } = await c.closed;
    assert.ok([1002, 1006].includes(code), String(code));
  }
  await goesOn();
});

test("no hello: closed in time", async () => {
  for (const c of [mute, pinging]) {
    const got = await c.closed;
    assert.equal(got.code, 4009);
    assert.match(got.reason, /^hello_timeout/);
  }
  await goesOn();
});
