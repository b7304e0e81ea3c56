import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { OrielError } from "../src/index.ts";
import { makeClient, openClient, outcome } from "./kit/client.ts";
import { settle } from "./kit/clock.ts";
import { ModelNet, ModelRoom, seeded } from "./kit/model.ts";
import type { FakeSocket } from "./kit/socket.ts";

/** The numbers of the publishes that were sent since the last look. */
const seqs = (socket: FakeSocket): unknown[] =>
  socket
    .take()
    .filter((m) => m.type === "publish")
    .map((m) => m.seq);

describe("publish", () => {
  test("type and number stand first; data, bytes and nothing travel", async () => {
    const { client, socket } = await openClient({}, { seq: 6 });
    void client.publish("message", { text: "hi" });
    void client.publish("blob", new Uint8Array([0, 1, 254, 255]));
    void client.publish("wave");
    void client.publish("topic", null);
    assert.deepEqual(socket.texts, [
      '{"type":"publish","seq":7,"event":"message","data":{"text":"hi"}}',
      '{"type":"publish","seq":8,"event":"blob","bytes":"AAH+/w=="}',
      '{"type":"publish","seq":9,"event":"wave"}',
      '{"type":"publish","seq":10,"event":"topic","data":null}',
    ]);
  });

  test("it resolves with the offset, or with nothing, or rejects with what the room says", async () => {
    const { client, socket } = await openClient();
    const all = [1, 2, 3].map((n) => outcome(client.publish("m", n)));
    socket.receive({ type: "ack", seq: 1, offset: 9 });
    socket.receive({ type: "ack", seq: 2 });
    socket.receive({ type: "error", seq: 3, code: "invalid", message: "no" });
    socket.receive({ type: "ack", seq: 3, offset: 10 }); // answered twice: the first counts
    socket.receive({ type: "ack", seq: 99, offset: 10 }); // nobody's
    await settle();
    assert.deepEqual(
      all.map((o) => o.value),
      [9, undefined, "invalid/refused"],
    );
    assert.equal(client.pending, 0);
  });

  test("what it carries is fixed when it is called", async () => {
    const { client, net, socket } = await openClient();
    socket.end();
    const data = { text: "before" };
    void client.publish("m", data);
    data.text = "after";
    client.wake();
    net.last().welcome();
    assert.deepEqual(net.last().take()[1]?.data, { text: "before" });
  });

  test("data without a JSON form is refused at once", async () => {
    const { client } = await openClient();
    const loop: { [name: string]: never } = {};
    Object.assign(loop, { loop });
    await assert.rejects(client.publish("m", loop), { code: "invalid", outcome: "unsent" });
  });

  test("at most as many as the room says are open; the others wait without a number", async () => {
    const { client, socket } = await openClient({}, { limits: { message: 65_536, open: 3 } });
    for (let i = 0; i < 5; i++) void client.publish("m", i);
    assert.deepEqual(seqs(socket), [1, 2, 3]);
    socket.receive({ type: "ack", seq: 1, offset: 1 });
    assert.deepEqual(seqs(socket), [4]);
  });

  test("the queue is bounded in number and in bytes, at the limit and one past it", async () => {
    const { client } = makeClient({ queue: { count: 3 } });
    const some = [1, 2, 3].map((n) => outcome(client.publish("m", n)));
    await assert.rejects(client.publish("m", 4), { code: "queue_full", outcome: "unsent" });
    assert.ok(some.every((o) => o.value === "pending"));

    const bytes = '{"type":"publish","seq":1234567890123456,"event":"m","data":1}'.length;
    const small = makeClient({ queue: { bytes: 2 * bytes } }).client;
    void small.publish("m", 1).catch(() => {});
    const second = outcome(small.publish("m", 1));
    await assert.rejects(small.publish("m", 1), { code: "queue_full" });
    assert.equal(second.value, "pending");
  });

  test("what is larger than the room's messages never goes out", async () => {
    const early = makeClient();
    const waiting = outcome(early.client.publish("m", "x".repeat(100)));
    const small = outcome(early.client.publish("m", "x"));
    early.client.open();
    early.net.last().welcome({ limits: { message: 100, open: 64 } });
    await settle();
    assert.equal(waiting.value, "too_large/unsent");
    assert.equal(small.value, "pending");
    assert.deepEqual(seqs(early.net.last()), [1]);
    await assert.rejects(early.client.publish("m", "é".repeat(25)), { code: "too_large" });
  });

  test("its time: unsent when nothing went out, unknown when it did", async () => {
    const { client, clock, net, socket } = await openClient();
    const sent = outcome(client.publish("m", 1, { timeout: 1000 }));
    socket.end();
    const waits = outcome(client.publish("m", 2, { timeout: 100 }));
    await clock.advance(100);
    assert.equal(waits.value, "timeout/unsent");
    await clock.advance(900);
    assert.equal(sent.value, "timeout/unknown");
    assert.equal(client.pending, 0);
    net.last().welcome();
    assert.deepEqual(seqs(net.last()), [1], "its number has to be consumed all the same");
    net.last().receive({ type: "ack", seq: 1, offset: 1 });
    void client.publish("m", 3);
    assert.deepEqual(seqs(net.last()), [2]);
  });

  test("its time is less than the room keeps the session", async () => {
    const { client, clock } = await openClient({}, { keep: 1000, heartbeat: 0 });
    const sent = outcome(client.publish("m", 1));
    await clock.advance(899);
    assert.equal(sent.value, "pending");
    await clock.advance(1);
    assert.equal(sent.value, "timeout/unknown");
  });
});

describe("retryable errors", () => {
  const refused = (seq: number, retry: number) => ({
    type: "error",
    seq,
    code: "rate_limited",
    retry,
  });
  const disorder = (seq: number, expected: number) => ({
    type: "error",
    seq,
    code: "out_of_order",
    retry: 0,
    expected,
  });

  test("it waits, and sends again in order; what stood behind is not sent in between", async () => {
    const { client, clock, socket } = await openClient();
    const held: unknown[] = [];
    client.on("held", (h) => held.push([h.error.code, h.until - clock.now()]));
    for (let i = 1; i <= 3; i++) void client.publish("m", i);
    assert.deepEqual(seqs(socket), [1, 2, 3]);
    socket.receive({ type: "ack", seq: 1, offset: 1 });
    socket.receive(refused(2, 500));
    socket.receive(disorder(3, 2));
    void client.publish("m", 4);
    await clock.advance(499);
    assert.deepEqual(seqs(socket), []);
    await clock.advance(1);
    assert.deepEqual(seqs(socket), [2, 3, 4]);
    assert.deepEqual(held, [["rate_limited", 500]]);
  });

  test("answers to what was sent before the wait do not begin it again", async () => {
    const { client, clock, socket } = await openClient();
    for (let i = 1; i <= 3; i++) void client.publish("m", i);
    socket.take();
    socket.receive(refused(1, 10));
    await clock.advance(10);
    assert.deepEqual(seqs(socket), [1, 2, 3]);
    socket.receive(disorder(2, 1)); // to the first copies of 2 and 3
    socket.receive(disorder(3, 1));
    assert.deepEqual(seqs(socket), []);
  });

  test("out of order without a wait: on from the number that is expected", async () => {
    const { client, socket } = await openClient();
    for (let i = 1; i <= 3; i++) void client.publish("m", i);
    socket.take();
    socket.receive(disorder(2, 1));
    assert.deepEqual(seqs(socket), [1, 2, 3]);
  });

  test("a room that refuses without end is not asked in a loop", async () => {
    const { client, clock, socket } = await openClient({}, { heartbeat: 0 });
    void client.publish("m", 1);
    for (let i = 0; i < 30; i++) {
      socket.receive(disorder(1, 1));
      await clock.advance(5000);
    }
    socket.take();
    socket.receive(disorder(1, 1));
    await clock.advance(4999);
    assert.deepEqual(seqs(socket), []);
  });

  test("one that waits can time out, and the others move up", async () => {
    const { client, clock, socket } = await openClient();
    const first = outcome(client.publish("m", 1, { timeout: 100 }));
    void client.publish("m", 2);
    socket.take();
    socket.receive(refused(1, 500));
    socket.receive(disorder(2, 1));
    await clock.advance(500);
    assert.equal(first.value, "timeout/unsent");
    const sent = socket.take();
    assert.deepEqual([sent[0]?.seq, sent[0]?.data], [1, 2]);
  });

  test("a wait goes on through a reconnect", async () => {
    const { client, clock, net, socket } = await openClient({}, { seq: 3 });
    void client.publish("m", 1);
    socket.receive(refused(4, 5000));
    socket.end();
    client.wake();
    await settle();
    net.last().welcome({ seq: 3 });
    assert.deepEqual(seqs(net.last()), []);
    await clock.advance(5000);
    assert.deepEqual(seqs(net.last()), [4]);
  });
});

describe("sessions", () => {
  test("the same session: again, in order, then what has waited", async () => {
    const { client, clock, net, socket } = await openClient(
      {},
      { limits: { message: 999, open: 2 } },
    );
    for (let i = 1; i <= 3; i++) void client.publish("m", i);
    socket.end();
    await clock.advance(250);
    net.last().welcome({ seq: 1, resumed: true, limits: { message: 999, open: 2 } });
    assert.deepEqual(seqs(net.last()), [1, 2]);
    net.last().receive({ type: "ack", seq: 1, offset: 1 });
    assert.deepEqual(seqs(net.last()), [3]);
  });

  test("another session: sent ones are unknown, the others begin again at 1", async () => {
    const { client, clock, net, socket } = await openClient(
      {},
      { limits: { message: 999, open: 2 } },
    );
    const all = [1, 2, 3].map((n) => outcome(client.publish("m", n)));
    socket.receive({ type: "error", seq: 2, code: "rate_limited", retry: 60_000 });
    socket.end();
    await clock.advance(250);
    net.last().welcome({ session: "s2" });
    await settle();
    assert.deepEqual(
      all.map((o) => o.value),
      ["session_lost/unknown", "pending", "pending"],
    );
    const sent = net.last().take();
    assert.deepEqual(
      sent.filter((m) => m.type === "publish").map((m) => [m.seq, m.data]),
      [
        [1, 2],
        [2, 3],
      ],
      "what was turned away has certainly no effect",
    );
  });

  test("a publish in a session that the room forgot", async () => {
    const { client, clock, net, socket } = await openClient({}, { offset: 4 });
    const sent = outcome(client.publish("m", 1));
    socket.receive({ type: "error", seq: 1, code: "session_lost" });
    await clock.advance(250);
    assert.equal(sent.value, "session_lost/unknown");
    net.last().open();
    assert.deepEqual(net.last().take(), [{ type: "hello", incarnation: "i1", offset: 4 }]);
  });

  test("a room that lost what it acknowledged has lost the session", async () => {
    for (const how of ["welcome", "expected"]) {
      const { client, clock, net, socket } = await openClient();
      for (let i = 1; i <= 3; i++) void client.publish("m", i).catch(() => {});
      socket.receive({ type: "ack", seq: 1, offset: 1 });
      socket.receive({ type: "ack", seq: 2, offset: 2 });
      const open = outcome(client.publish("m", 4));
      if (how === "expected") {
        socket.receive({ type: "error", seq: 3, code: "out_of_order", retry: 0, expected: 2 });
      } else {
        socket.end();
        await clock.advance(250);
        net.last().welcome({ seq: 1 });
      }
      await settle();
      assert.equal(open.value, "session_lost/unknown", how);
      await clock.advance(2000);
      net.last().open();
      assert.equal(net.last().take()[0]?.session, undefined, how);
    }
  });
});

describe("requests", () => {
  test("answers, errors and time", async () => {
    const { client, clock, socket } = await openClient();
    const ids = () => socket.take().map((m) => m.id as number);
    const a = outcome(client.request("state"));
    const b = outcome(client.request("nothing"));
    const c = outcome(client.request("slow", 1, { timeout: 100 }));
    const [x = 0, y = 0, z = 0] = ids();
    socket.receive({ type: "response", id: y + 100, data: 1 });
    socket.receive({ type: "response", id: x, data: { topic: "tea" } });
    socket.receive({ type: "error", id: y, code: "unknown_event" });
    await clock.advance(100);
    socket.receive({ type: "response", id: z });
    assert.deepEqual([a.value, b.value, c.value], [{ topic: "tea" }, "unknown_event", "timeout"]);
  });

  test("a cut one fails, one that may be repeated is asked again, one that waits goes out", async () => {
    const { client, clock, net, socket } = await openClient();
    const once = outcome(client.request("count"));
    const twice = outcome(client.history({ before: 9 }));
    socket.end();
    const waits = outcome(client.request("state"));
    await clock.advance(250);
    assert.equal(once.value, "disconnected");
    net.last().welcome();
    const sent = net.last().take();
    assert.deepEqual(
      sent.slice(1).map((m) => [m.event, m.data]),
      [
        ["history", { before: 9 }],
        ["state", undefined],
      ],
    );
    net.last().receive({
      type: "response",
      id: sent[1]?.id as number,
      data: {
        events: [{ event: "m", offset: 8, from: "ann", time: 5, bytes: "AP8=" }],
        more: true,
      },
    });
    await settle();
    assert.deepEqual(twice.value, {
      events: [{ event: "m", offset: 8, from: "ann", time: 5, data: new Uint8Array([0, 255]) }],
      more: true,
    });
    assert.equal(waits.value, "pending");
  });

  test("a retryable error is asked again after its time, if it may be", async () => {
    const { client, clock, socket } = await openClient();
    const page = outcome(client.members());
    const id = socket.take()[0]?.id as number;
    socket.receive({ type: "error", id, code: "overloaded", retry: 700 });
    await clock.advance(699);
    assert.deepEqual(socket.take(), []);
    await clock.advance(1);
    assert.equal(socket.take()[0]?.id, id);
    const members = [{ user: "ann", connections: 1 }];
    const counts = { users: 1, connections: 1 };
    socket.receive({ type: "response", id, data: { members, more: false, counts } });
    await settle();
    assert.deepEqual(page.value, {
      members: [{ user: "ann", connections: 1, data: undefined }],
      more: false,
      counts,
    });
  });

  test("an answer that is none rejects; so does the request past the limit", async () => {
    const { client, socket } = await openClient();
    const page = outcome(client.history());
    socket.receive({ type: "response", id: socket.take()[0]?.id as number, data: { events: 7 } });
    await settle();
    assert.equal(page.value, "malformed");
    for (let i = 0; i < 256; i++) void client.request("r").catch(() => {});
    await assert.rejects(client.request("r"), { code: "queue_full" });
    void client.close();
  });
});

test("exactly once and in order, whatever breaks when", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seeded(seed);
    const room = new ModelRoom();
    const net = new ModelNet(room);
    room.refuse = () => (random() < 0.1 ? Math.floor(random() * 300) : undefined);
    const { client, clock, told } = makeClient({ WebSocket: net.WebSocket, random });
    const acked = new Map<number, number>();
    const unknown = new Set<number>();
    const failed: OrielError[] = [];
    client.open();
    let n = 0;
    for (let step = 0; step < 1500; step++) {
      const r = random();
      if (r < 0.15 && n < 200) {
        const mine = n++;
        client.publish("message", mine).then(
          (offset) => acked.set(mine, offset ?? 0),
          (error: OrielError) => {
            if (error.outcome === "unknown") unknown.add(mine);
            else failed.push(error);
          },
        );
      } else if (r < 0.55) net.step(true);
      else if (r < 0.95) net.step(false);
      else if (r < 0.96) net.cut();
      else if (r < 0.965) net.lose(random);
      else if (r < 0.967) {
        room.forget(); // a forgotten session is met at the next hello
        net.cut();
      } else await clock.advance(random() * 200);
    }
    room.refuse = () => undefined;
    for (let quiet = 0; quiet < 3; ) {
      let moved = false;
      while (net.step(true) || net.step(false)) moved = true;
      await clock.advance(31_000);
      quiet = moved ? 0 : quiet + 1;
    }
    assert.equal(client.pending, 0, `seed ${seed}`);
    assert.deepEqual(failed, [], `seed ${seed}`);
    const data = room.history.map((e) => e.data as number);
    assert.equal(new Set(data).size, data.length, `seed ${seed}: twice`);
    // What a loss of the session handed over begins again behind what was unknown.
    assert.deepEqual(
      data,
      [...data].sort((a, b) => a - b),
      `seed ${seed}: order`,
    );
    for (const [mine, offset] of acked) assert.equal(data[offset - 1], mine, `seed ${seed}`);
    assert.equal(acked.size + unknown.size, n, `seed ${seed}`);
    for (let i = 0; i < n; i++) {
      assert.ok(acked.has(i) || unknown.has(i), `seed ${seed}: ${i}`);
    }
    const offsets = told.events as number[];
    const first = offsets[0] ?? 1;
    assert.deepEqual(
      offsets,
      offsets.map((_, i) => first + i),
      `seed ${seed}: events in order, each once`,
    );
    assert.deepEqual(told.gaps, []);
    void client.close();
  }
});
