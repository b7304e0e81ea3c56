// The glue around the Go front: an instance that ends is replaced at the next request.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { codes } from "../host/abi.gen.ts";
import type { FrontStats, Verdict } from "../worker/verdict.ts";
import { Host, patience } from "./harness.ts";

let host: Host;
before(async () => {
  host = await Host.start();
}, patience);
after(() => host.stop());

async function ask(path: string): Promise<{ verdict: Verdict; stats: FrontStats }> {
  return (await fetch(host.at(`/front/${path}`))).json() as Promise<{ verdict: Verdict; stats: FrontStats }>;
}

test("a front that dies refuses one request, and the next has a new one", async () => {
  assert.equal((await ask("x")).verdict.token, "1");
  assert.equal((await ask("x")).verdict.token, "2", "one instance serves all");
  let instances = 1;
  for (const how of ["exit", "panic"]) {
    const { verdict } = await ask(how);
    assert.deepEqual(verdict, { to: "refuse", code: codes.internal, upgrade: false }, how);
    const next = await ask("x");
    assert.equal(next.verdict.token, "1", `after ${how}`);
    assert.deepEqual(next.stats, { instances: ++instances, died: instances - 1 });
  }
});

test("an answer without a verdict lets nobody in", async () => {
  assert.deepEqual((await ask("silent")).verdict, { to: "refuse", code: codes.internal, upgrade: false });
});
