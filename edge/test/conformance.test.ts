// The recordings of rooms/conformance on workerd: the same batches give the same effects, byte for
// byte, as on the native and the wazero host.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { effectsOf } from "../host/batch.ts";
import { Host, patience } from "./harness.ts";
import type { Outcome, Step } from "./recording.ts";

const dir = new URL("../../rooms/conformance/testdata/recordings/", import.meta.url);
const files = readdirSync(dir.pathname).filter((f) => f.endsWith(".json"));

let host: Host;
before(async () => {
  host = await Host.start();
}, patience);
after(() => host.stop());

test("there are recordings", () => assert.ok(files.length > 0));

for (const file of files) {
  test(`recording ${file}`, async () => {
    const recording = JSON.parse(readFileSync(new URL(file, dir).pathname, "utf8")) as { name: string; steps: Step[] };
    const outcomes = await host.replay(recording.name, recording.steps);
    assert.equal(outcomes.length, recording.steps.length);
    for (const [i, step] of recording.steps.entries()) compare(i, step, outcomes[i] as Outcome);
  });
}

function compare(i: number, want: Step, got: Outcome): void {
  if (want.trap !== undefined) assert.equal(got.trap, want.trap, `step ${i}: ${got.message}`);
  else if (got.effects !== want.effects && !want.sleep)
    assert.deepEqual(describe(got.effects), describe(want.effects), `step ${i} ${got.trap} ${got.message}`);
}

function describe(hex: string | undefined): unknown {
  return hex === undefined ? undefined : effectsOf(new Uint8Array(Buffer.from(hex, "hex")));
}
