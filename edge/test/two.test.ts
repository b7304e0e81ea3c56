// A second room module beside the shipped one: a class of its own, and its kind is found.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Host, patience } from "./harness.ts";

const worker = { configPath: fileURLToPath(new URL("./two.toml", import.meta.url)), vars: { ORIEL_DEV: "1" } };

let host: Host;
before(async () => {
  host = await Host.start(worker);
}, patience);
after(() => host.stop());

async function bearer(user: string): Promise<string> {
  const r = await fetch(host.at(`/v1/dev/token?user=${user}`));
  return `bearer.${((await r.json()) as { token: string }).token}`;
}

test("both modules' kinds are reached, each in its own class", async () => {
  const counter = await host.dial(host.url("counter/lobby"), ["oriel.raw", await bearer("ann")]);
  assert.equal(counter.ws.protocol, "oriel.raw");
  assert.equal(await counter.ask("x"), "ann makes it |");
  await host.sleep("counter/lobby", "Counter");
  assert.equal(await counter.ask("x"), "ann makes it ||");

  const chat = await host.dial(host.url("chat/lobby"), ["oriel.v1.json", await bearer("ann")]);
  assert.match(String(await chat.ask('{"type":"hello"}')), /"welcome"/);
  await host.sleep("chat/lobby", "Shipped");

  const r = await host.fetch("none/lobby");
  assert.equal(((await r.json()) as { code: string }).code, "unknown_kind");
});
