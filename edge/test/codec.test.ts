// The codec against the golden bytes of rooms/abi: every value is decoded, compared with its
// description, and encoded again to the same bytes; every refused encoding is refused for the
// same reason in the same field.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { codes, limits } from "../host/abi.gen.ts";
import { batchOf, effectsBytes, effectsOf, encodeBatch } from "../host/batch.ts";
import { closeReason, cutReason, echoCode, sendable } from "../host/code.ts";
import { eventBytes, eventOf } from "../host/event.ts";
import { listRequestBytes, listRequestOf, listResponseBytes, listResponseOf } from "../host/list.ts";
import { manifestOf } from "../host/manifest.ts";
import { visitHeader, visitOf, visitValue } from "../host/visit.ts";
import { byteLength, bytesOf, Decoder, Encoder, FieldError, maxUint64 } from "../host/wire.ts";

interface Value {
  name: string;
  hex: string;
  value: unknown;
}

interface Golden {
  abi: string;
  events: Value[];
  effects: Value[];
  batches: Value[];
  effectBatches: Value[];
  listRequests: Value[];
  listResponses: Value[];
  manifests: Value[];
  refused: { name: string; what: string; hex: string; error: string; field: string }[];
}

const path = new URL("../../rooms/abi/testdata/golden.json", import.meta.url);
const golden = JSON.parse(readFileSync(path, "utf8")) as Golden;

const fromHex = (s: string) => new Uint8Array(Buffer.from(s, "hex"));
const toHex = (b: Uint8Array) => Buffer.from(b).toString("hex");

/** The JSON form of package abijson: integers as decimal strings, bytes as hex. */
function describe(v: unknown): unknown {
  if (v instanceof Uint8Array) return toHex(v);
  if (typeof v === "bigint" || typeof v === "number") return v.toString();
  if (Array.isArray(v)) return v.map(describe);
  if (typeof v === "object" && v !== null)
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, describe(x)]));
  return v;
}

function batchBytes(b: Uint8Array): Uint8Array {
  const e = new Encoder();
  encodeBatch(e, batchOf(b));
  return e.bytes();
}

const forms: Record<string, { decode: (b: Uint8Array) => unknown; again: (b: Uint8Array) => Uint8Array }> = {
  events: { decode: eventOf, again: (b) => eventBytes(eventOf(b)) },
  batches: { decode: batchOf, again: batchBytes },
  effectBatches: { decode: effectsOf, again: (b) => effectsBytes(effectsOf(b)) },
  listRequests: { decode: listRequestOf, again: (b) => listRequestBytes(listRequestOf(b)) },
  listResponses: { decode: listResponseOf, again: (b) => listResponseBytes(listResponseOf(b)) },
};

for (const group of ["events", "batches", "effectBatches", "listRequests", "listResponses"] as const) {
  test(`golden ${group}`, () => {
    const form = forms[group];
    assert.ok(form);
    assert.ok(golden[group].length > 0);
    for (const v of golden[group]) {
      const b = fromHex(v.hex);
      assert.deepEqual(describe(form.decode(b)), v.value, v.name);
      assert.equal(toHex(form.again(b)), v.hex, v.name);
    }
  });
}

test("golden effects", () => {
  for (const v of golden.effects) {
    const b = fromHex(`01${v.hex}`);
    assert.deepEqual(describe(effectsOf(b)[0]), v.value, v.name);
    assert.equal(toHex(effectsBytes(effectsOf(b))), toHex(b), v.name);
  }
});

test("golden manifests", () => {
  for (const v of golden.manifests) {
    const m = manifestOf(fromHex(v.hex));
    const want = v.value as { sdk?: string; shareable: boolean; kinds: Record<string, unknown>[] };
    assert.equal(m.sdk, want.sdk ?? "");
    assert.equal(m.shareable, want.shareable);
    assert.deepEqual(
      m.kinds.map((k) => ({ ...k })),
      want.kinds.map((k) => ({ protocols: [], anonymous: false, ...k })),
      v.name,
    );
  }
});

const decoders: Record<string, (b: Uint8Array) => unknown> = {
  event: eventOf,
  effects: effectsOf,
  batch: batchOf,
  listRequest: listRequestOf,
  listResponse: listResponseOf,
  manifest: manifestOf,
};

test("refused encodings", () => {
  for (const r of golden.refused) {
    const decode = decoders[r.what];
    assert.ok(decode, r.what);
    assert.throws(
      () => decode(fromHex(r.hex)),
      (e) => e instanceof FieldError && e.kind === r.error && e.field === r.field,
      r.name,
    );
  }
});

test("no prefix and no flipped byte makes a decoder do anything but throw a FieldError", () => {
  const all = [...golden.events.map((v) => ["event", v.hex]), ...golden.effectBatches.map((v) => ["effects", v.hex])];
  for (const [what, hex] of all) {
    const decode = decoders[what as string];
    assert.ok(decode);
    const good = fromHex(hex as string);
    for (let i = 0; i < Math.min(good.length, 400); i++) {
      for (const bad of [good.subarray(0, i), flipped(good, i, 0x80), flipped(good, i, 0xff)]) {
        try {
          decode(bad);
        } catch (e) {
          assert.ok(e instanceof FieldError, String(e));
        }
      }
    }
  }
});

function flipped(b: Uint8Array, i: number, mask: number): Uint8Array {
  const c = b.slice();
  c[i] = (c[i] as number) ^ mask;
  return c;
}

test("integers keep all of 64 bits", () => {
  for (const v of [
    0n,
    1n,
    127n,
    128n,
    0xffff_ffffn,
    0x1_0000_0000n,
    (1n << 53n) - 1n,
    1n << 53n,
    1n << 63n,
    maxUint64,
  ]) {
    const e = new Encoder(1);
    e.uvarint(v);
    assert.equal(new Decoder(e.view()).uint64("v"), v);
    if (v <= BigInt(limits.maxTime)) {
      const n = new Encoder(1);
      n.uvarint(Number(v));
      assert.equal(toHex(n.view()), toHex(e.view()));
      assert.equal(new Decoder(n.view()).uvarint("v", limits.maxTime), Number(v));
    }
  }
});

test("lengths of strings", () => {
  for (const s of ["", "a", "ü", "€", "👋", "\ufeffx", "a👋b"]) assert.equal(byteLength(s), bytesOf(s).length, s);
});

test("limits, at the limit and one past it", () => {
  const message = (n: number) =>
    eventBytes({ type: "message", connection: 1n, encoding: "binary", data: new Uint8Array(n) });
  assert.doesNotThrow(() => eventOf(message(limits.maxMessage)));
  assert.throws(() => eventOf(message(limits.maxMessage + 1)), { kind: "limit", field: "message.data" });
  const put = (n: number) => effectsBytes([{ type: "put", key: new Uint8Array(10), value: new Uint8Array(n) }]);
  assert.doesNotThrow(() => effectsOf(put(limits.maxKeyValue - 10)));
  assert.throws(() => effectsOf(put(limits.maxKeyValue - 9)), { kind: "limit", field: "put.value" });
  const attach = (n: number) => effectsBytes([{ type: "attach", connection: 1n, data: new Uint8Array(n) }]);
  assert.doesNotThrow(() => effectsOf(attach(limits.maxAttachment)));
  assert.throws(() => effectsOf(attach(limits.maxAttachment + 1)), { kind: "limit", field: "attach.data" });
});

test("close codes", () => {
  assert.equal(closeReason(codes.restarting, 1500, "deploying"), "restarting; retry=1500; deploying");
  assert.equal(bytesOf(cutReason("é".repeat(100))).length, 122);
  assert.ok(sendable(4999) && !sendable(1005) && !sendable(1006) && !sendable(1015) && !sendable(5000));
  assert.equal(echoCode(1006), 1000);
  assert.equal(echoCode(4208), 4208);
});

test("a visit says the same to objects that decode percent signs", () => {
  const query = 'a=%22,%22user%22:%22root&b="ä😀\x7f';
  const value = visitValue({ to: "socket", kind: "chat", room: "x", user: "ann", query });
  assert.match(value, /^[ -~]*$/);
  assert.equal(decodeURIComponent(value), value);
  const visit = visitOf(new Headers({ [visitHeader]: value }));
  assert.deepEqual([visit?.user, visit?.query], ["ann", query]);
});
