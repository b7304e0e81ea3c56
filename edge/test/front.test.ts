// The glue around the Go front: an instance that ends is replaced at the next request.

import assert from "node:assert/strict";
import { get } from "node:http";
import { after, before, test } from "node:test";
import { codes } from "../host/abi.gen.ts";
import type { FrontStats, Verdict } from "../worker/verdict.ts";
import { Host, patience } from "./harness.ts";

let host: Host;
before(async () => {
  host = await Host.start();
}, patience);
after(() => host.stop());

async function ask(path: string, cookie = ""): Promise<{ verdict: Verdict; stats: FrontStats }> {
  return (await fetch(host.at(`/front/${path}`), { headers: { cookie } })).json() as Promise<{
    verdict: Verdict;
    stats: FrontStats;
  }>;
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

/** Asks with a cookie whose bytes are no UTF-8: each takes three in a text. */
function askHuge(bytes: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const cookie = "\xff".repeat(bytes);
    get(host.at("/front/x"), { headers: { cookie } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).on("error", reject);
  });
}

test("a head that is too large for the front costs no instance", async () => {
  const before = await ask("x");
  const status = await askHuge(120_000);
  const next = await ask("x");
  assert.deepEqual(next.stats, before.stats, `the head was answered with ${status}`);
});

test("each question is answered, whatever the one before it was", async () => {
  for (const [i, size] of [0, 10_000, 0, 100_000, 10, 5_000, 20_000, 0].entries())
    assert.equal((await ask(`echo/${i}`, "c".repeat(size))).verdict.token, String(i), `a cookie of ${size} bytes`);
});

test("an answer without a verdict lets nobody in", async () => {
  assert.deepEqual((await ask("silent")).verdict, { to: "refuse", code: codes.internal, upgrade: false });
});
