import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { closeError } from "../src/errors.ts";
import { actionOf, codes, type Json, type Payload } from "../src/index.ts";
import { decode, encode, more, ping } from "../src/message.ts";
import { openClient } from "./kit/client.ts";
import { settle } from "./kit/clock.ts";
import { seeded } from "./kit/model.ts";

interface Golden {
  readonly name: string;
  readonly sender: "client" | "room";
  readonly json: string;
  readonly fields: { readonly [name: string]: Json };
}

const folder = new URL("../../../session/protocol/testdata/", import.meta.url);
const golden = JSON.parse(readFileSync(new URL("golden.json", folder), "utf8")) as Golden[];

describe("golden examples of the protocol", () => {
  for (const { name, sender, json, fields } of golden) {
    test(`${sender}: ${name}`, () => {
      if (sender === "client") {
        const { type, data, bytes, ...head } = fields;
        const payload: Payload =
          typeof bytes === "string" ? new Uint8Array(Buffer.from(bytes, "base64")) : data;
        if (type === "ping" || type === "more") assert.equal(type === "ping" ? ping : more, json);
        else assert.deepEqual(JSON.parse(encode(type as string, head, payload)), JSON.parse(json));
        return;
      }
      const message = decode(json);
      const flat: Record<string, unknown> =
        "body" in message ? { ...message, ...message.body } : { ...message };
      for (const [key, value] of Object.entries(fields)) {
        if (key === "bytes") {
          assert.deepEqual(flat.data, new Uint8Array(Buffer.from(value as string, "base64")));
        } else if (key === "leave") {
          assert.deepEqual(
            flat.leave,
            (value as { user: string }[]).map((m) => m.user),
          );
        } else if (key !== "retention") {
          assert.deepEqual(JSON.parse(JSON.stringify(flat[key])), value, key);
        }
      }
    });
  }
});

describe("hostile rooms", () => {
  test("what is no message of a room is malformed, typed", () => {
    for (const text of [
      "",
      "hello",
      "[]",
      "null",
      "7",
      "{}",
      '{"type":7}',
      '{"type":"ack"}',
      '{"type":"ack","seq":-1}',
      '{"type":"ack","seq":1.5}',
      '{"type":"ack","seq":9007199254740992}',
      '{"type":"ack","seq":"1"}',
      '{"type":"error","seq":1}',
      '{"type":"event","event":"m"}',
      '{"type":"event","event":"m","time":1,"bytes":"*"}',
      '{"type":"welcome"}',
      '{"type":"presence","members":{}}',
      '{"type":"presence","join":[{"user":"ann"}]}',
      '{"type":"presence","leave":["ann"]}',
      '{"type":"presence","counts":{"users":1}}',
      '{"type":"response"}',
      '{"type":"more"}',
    ]) {
      assert.throws(() => decode(text), { name: "OrielError", code: "malformed" }, text);
    }
    assert.deepEqual(decode('{"type":"later","x":1}'), { type: "unknown" });
  });

  test("random bytes and bent messages: no throw escapes, and the client comes back", async () => {
    const random = seeded(7);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const texts = golden.filter((g) => g.sender === "room").map((g) => g.json);
    const bend = (text: string): string => {
      const at = Math.floor(random() * text.length);
      const cut = at + Math.floor(random() * 8);
      const middle = pick([
        "",
        '"',
        "{",
        "}",
        "0",
        "-1",
        "null",
        "[]",
        "\u0000",
        "\ud800",
        ",",
        "1e9",
      ]);
      return text.slice(0, at) + middle + text.slice(cut);
    };
    const { client, net, clock } = await openClient({ backoff: { base: 10, max: 10 } });
    for (let i = 0; i < 5000; i++) {
      void client.publish("m", i).catch(() => {});
      void client.request("r").catch(() => {});
      const socket = net.last();
      const r = random();
      if (r < 0.4) socket.receiveRaw(bend(pick(texts)));
      else if (r < 0.6) socket.receiveRaw(pick(texts));
      else if (r < 0.7)
        socket.receiveRaw(
          String.fromCharCode(...Array.from({ length: 20 }, () => random() * 65536)),
        );
      else if (r < 0.75) socket.receiveRaw(new ArrayBuffer(8));
      else if (r < 0.9)
        socket.welcome({ seq: Math.floor(random() * 5), session: pick(["a", "b"]) });
      else socket.end(Math.floor(random() * 70_000), bend("restarting; retry=1500; deploying"));
      if (client.state.name === "closed") client.open();
      await clock.advance(20);
    }
    client.open();
    await clock.advance(3_600_000);
    assert.notEqual(client.state.name, "closed");
    void client.close();
    await clock.advance(1000);
    await settle();
    assert.equal(clock.timers, 0);
    assert.equal(client.pending, 0);
  });
});

describe("close codes", () => {
  test("actions, also of numbers that are not in the table", () => {
    for (const [code, action] of [
      [1006, "retry"],
      [1099, "retry"],
      [2999, "retry"],
      [3000, "stop"],
      [4000, "retry"],
      [4099, "retry"],
      [4100, "reauthenticate"],
      [4199, "reauthenticate"],
      [4200, "stop"],
      [4399, "stop"],
      [4400, "retry"],
      [4499, "retry"],
      [4500, "reauthenticate"],
      [4599, "reauthenticate"],
      [4600, "stop"],
      [4999, "stop"],
      [65_535, "stop"],
    ] as const) {
      assert.equal(actionOf(code), action, String(code));
    }
    assert.ok(Object.keys(codes).length > 40);
  });

  test("reasons: name, delay, detail", () => {
    for (const [code, reason, name, retry, message] of [
      [4000, "restarting; retry=1500; deploying", "restarting", 1500, "restarting: deploying"],
      [4001, "overloaded", "overloaded", undefined, "overloaded"],
      [4001, "", "overloaded", undefined, "overloaded"],
      [4450, "halftime; retry=0; tea", "halftime", undefined, "halftime: tea"],
      [4450, "Not A Name", "code_4450", undefined, "code_4450"],
      [4000, "restarting; retry=99999999999", "restarting", undefined, "restarting"],
      [4000, "restarting; retry=9999999999", "restarting", 3_600_000, "restarting"],
      [4000, "restarting; retry=-5; retry=7", "restarting", 7, "restarting"],
      [4000, ";;;", "restarting", undefined, "restarting: ; ; "],
    ] as const) {
      const error = closeError(code, reason);
      assert.deepEqual([error.code, error.retry, error.message], [name, retry, message], reason);
      assert.equal(error.close, code);
    }
  });
});

test("the package is smaller than 8 KB, minified and gzipped", (t) => {
  const entry = new URL("../src/index.ts", import.meta.url).pathname;
  const args = [
    "tool",
    "esbuild",
    entry,
    "--bundle",
    "--minify",
    "--format=esm",
    "--target=es2022",
  ];
  const size = gzipSync(execFileSync("go", args), { level: 9 }).length;
  t.diagnostic(`${size} bytes`);
  assert.ok(size < 8000, `${size} bytes`);
});
