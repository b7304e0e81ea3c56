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

/**
 * Goes past a limit of three and returns the first refusal. Minutes of the clock are counted, and one
 * may end on the way: then three more are allowed.
 */
async function past<T>(ask: () => Promise<T>, allowed: (answer: T) => boolean): Promise<T> {
  for (let i = 0; i <= 6; i++) {
    const answer = await ask();
    if (allowed(answer)) continue;
    assert.ok(i >= 3, `only ${i} were allowed`);
    return answer;
  }
  assert.fail("there is no limit");
}

test("connects and questions of one address: at the limit and one past it", async () => {
  const r = await fetch(host.at("/v1/dev/token?user=ann"));
  const { token } = (await r.json()) as { token: string };
  /** What the client hears first: a welcome, or how it is refused. */
  const hello = async () => {
    const c = await host.dial(host.url("chat/limit"), ["oriel.v1.json", `bearer.${token}`]);
    const heard = new Promise<string>((resolve) => c.ws.once("message", (data) => resolve(String(data))));
    c.send('{"type":"hello"}');
    return Promise.race([heard, c.closed.then(({ code, reason }) => `${code} ${reason}`)]);
  };
  assert.match(await past(hello, (text) => text.includes('"welcome"')), /^4005 rate_limited; retry=\d+$/);
  const ask = () => fetch(host.at("/v1/presence/ann"), { headers: { authorization: `Bearer ${token}` } });
  const over = await past(ask, (answer) => answer.status === 200); // counted apart from connects
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
