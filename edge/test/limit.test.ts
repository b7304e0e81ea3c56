// What one address may do, and where objects are made.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Objects, Placement } from "../host/placement.ts";
import { Host, limitedWorker, patience } from "./harness.ts";

let host: Host;
before(async () => {
  host = await Host.start(limitedWorker);
}, patience);
after(() => host.stop());

test("connects and questions of one address: at the limit and one past it", async () => {
  const r = await fetch(host.at("/v1/dev/token?user=ann"));
  const { token } = (await r.json()) as { token: string };
  const dial = () => host.dial(host.url("chat/limit"), ["oriel.v1.json", `bearer.${token}`]);
  const hello = async () => String(await (await dial()).ask('{"type":"hello"}'));
  for (let i = 0; i < 3; i++) assert.match(await hello(), /"welcome"/);
  const { code, reason } = await (await dial()).closed;
  assert.equal(code, 4005);
  assert.match(reason, /^rate_limited; retry=\d+$/);
  const ask = () => fetch(host.at("/v1/presence/ann"), { headers: { authorization: `Bearer ${token}` } });
  for (let i = 0; i < 3; i++) assert.equal((await ask()).status, 200, "counted apart from connects");
  const over = await ask();
  assert.equal(over.status, 429);
  assert.ok(over.headers.has("retry-after"));
  assert.equal(((await over.json()) as { code: string }).code, "rate_limited");
});

/** A namespace that says what it was asked for. */
function namespace(within = ""): Objects {
  return {
    jurisdiction: namespace,
    idFromName: (name) => name,
    get: (id, { locationHint = "" }: { locationHint?: string }) => [within, id, locationHint].join(" "),
  };
}

test("objects are made where the deployment says, by kind", () => {
  const p = new Placement("chat=eu, arena=us", " chat = weur ");
  assert.equal(p.object(namespace(), "chat", "chat/x"), "eu chat/x weur");
  assert.equal(p.object(namespace(), "arena", "arena/x"), "us arena/x ");
  assert.equal(p.object(namespace(), "other", "other/x"), " other/x ");
  assert.equal(new Placement("", "").object(namespace(), "chat", "chat/x"), " chat/x ");
});

test("a place that nobody knows is an error, not a guess", () => {
  for (const list of ["chat", "chat=mars", "=eu", "chat=eu=us"]) {
    assert.throws(() => new Placement(list, ""), /ORIEL_JURISDICTIONS: .* is not KIND=eu\|us/);
    assert.throws(() => new Placement("", list), /ORIEL_LOCATIONS/);
  }
});
