import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Client, OrielError } from "../src/index.ts";
import { makeClient, openClient, outcome } from "./kit/client.ts";
import { settle } from "./kit/clock.ts";
import { welcome } from "./kit/socket.ts";

describe("connecting", () => {
  test("idle, connecting, open, and the address and protocols of the socket", async () => {
    const { client, net, told } = makeClient({ credential: async () => "t.o-k_en" });
    assert.equal(client.state.name, "idle");
    client.open().open();
    await settle();
    assert.equal(net.sockets.length, 1);
    assert.equal(net.last().url, "ws://example.org/v1/rooms/chat/lobby");
    assert.deepEqual(net.last().protocols, ["oriel.v1.json", "bearer.t.o-k_en"]);
    net.last().open();
    assert.deepEqual(net.last().take(), [{ type: "hello" }]);
    net.last().welcome();
    assert.deepEqual(told.states, ["connecting", "open"]);
  });

  test("the credential as the first message, hello right behind it", async () => {
    const { client, net } = makeClient({ credential: async () => "t.o-k_en", firstMessage: true });
    client.open();
    await settle();
    assert.deepEqual(net.last().protocols, ["oriel.v1.json"]);
    net.last().open();
    const [auth, hello] = net.last().take();
    assert.deepEqual(auth, { type: "auth", token: "t.o-k_en" });
    assert.deepEqual(hello, { type: "hello" });
  });

  test("addresses", async () => {
    for (const [url, want] of [
      ["https://example.org", "wss://example.org/v1/rooms/chat/lobby"],
      ["wss://example.org:81/base/?q#f", "wss://example.org:81/base/v1/rooms/chat/lobby"],
      [new URL("http://[::1]:8080/"), "ws://[::1]:8080/v1/rooms/chat/lobby"],
    ] as const) {
      const { client, net } = makeClient({ url });
      client.open();
      assert.equal(net.last().url, want);
      void client.close();
    }
    const { client, net } = makeClient({ url: "http://x", device: "ann's ü phone" });
    client.open();
    assert.equal(net.last().url, "ws://x/v1/rooms/chat/lobby?device=ann%27s%20%C3%BC%20phone");
    void client.close();
  });

  test("names are checked at the limit and one past it", () => {
    const make = (room: string) => new Client({ url: "http://x", kind: "chat", room });
    make("a".repeat(128));
    make("A.b_c~d-9");
    for (const bad of ["", ".", "..", "a/b", "ä", "a b", "a".repeat(129)]) {
      assert.throws(() => make(bad), { code: "bad_name" });
    }
  });

  test("a base that is no address, and a token that cannot travel, end the client", async () => {
    const { client, told } = makeClient({ url: "nowhere" });
    client.open();
    assert.deepEqual(told.states, ["connecting", "closed invalid"]);
  });

  test("the credential is asked anew before each attempt, and told of a refusal", async () => {
    const asked: (string | undefined)[] = [];
    const { client, net, clock, told } = makeClient({
      credential: ({ refused }) => {
        asked.push(refused?.code);
        return `token${asked.length}`;
      },
    });
    client.open();
    await settle();
    net.last().end(4101, "token_expired");
    await clock.advance(0); // the first refusal: again at once
    assert.deepEqual(net.last().protocols, ["oriel.v1.json", "bearer.token2"]);
    net.last().end(4100, "unauthenticated");
    await clock.advance(499);
    assert.equal(net.sockets.length, 2, "a second refusal waits");
    await clock.advance(1);
    net.last().welcome();
    net.last().end();
    await clock.advance(2000);
    assert.deepEqual(asked, [undefined, "token_expired", "unauthenticated", undefined]);
    assert.equal(told.states.at(-1), "connecting");
  });

  test("a credential that fails is waited for; one that says stop ends the client", async () => {
    let fail: Error = new Error("offline");
    const { client, clock, told } = makeClient({
      credential: () => Promise.reject(fail),
    });
    client.open();
    await settle();
    assert.deepEqual(told.states, ["connecting", "waiting credential"]);
    fail = new OrielError("forbidden");
    await clock.advance(250);
    assert.deepEqual(told.states.slice(2), ["connecting", "closed forbidden"]);
    assert.equal(clock.timers, 0);
  });

  test("an attempt has its time, whatever hangs", async () => {
    for (const hang of ["credential", "socket", "welcome"]) {
      const { client, net, clock, told } = makeClient({
        connectTimeout: 1000,
        credential: () => (hang === "credential" ? new Promise<string>(() => {}) : "t"),
      });
      client.open();
      await settle();
      if (hang === "welcome") net.last().open();
      await clock.advance(999);
      assert.equal(client.state.name, "connecting", hang);
      await clock.advance(1);
      assert.deepEqual(told.states, ["connecting", "waiting timeout"], hang);
      if (hang !== "credential") assert.equal(net.last().closedWith, 4000);
    }
  });

  test("back-off doubles up to its bound, and a stable connection starts it anew", async () => {
    const { client, net, clock } = makeClient({ backoff: { base: 100, max: 1000, stable: 5000 } });
    client.open();
    const delays: number[] = [];
    for (let i = 0; i < 6; i++) {
      net.last().end();
      delays.push(clock.next);
      await clock.advance(clock.next);
    }
    assert.deepEqual(delays, [50, 100, 200, 400, 500, 500]);
    net.last().welcome({ heartbeat: 0 });
    await clock.advance(4999);
    net.last().end();
    assert.equal(clock.next, 500, "not stable yet");
    await clock.advance(500);
    net.last().welcome({ heartbeat: 0 });
    await clock.advance(5000);
    net.last().end();
    assert.equal(clock.next, 50);
  });

  test("the server's hint is a lower bound, also for waking", async () => {
    const { client, net, clock, socket } = await openClient();
    socket.end(4000, "restarting; retry=1500; deploying");
    assert.equal(client.state.name === "waiting" && client.state.until - clock.now(), 1750);
    client.wake();
    await clock.advance(1499);
    assert.equal(net.sockets.length, 1);
    await clock.advance(1);
    assert.equal(net.sockets.length, 2, "it woke at the hint, without the jitter");
  });

  test("waking ends a wait without a hint", async () => {
    const { client, net, socket } = await openClient();
    socket.end();
    client.wake();
    await settle();
    assert.equal(net.sockets.length, 2);
  });

  test("codes that say stop end it for good; what was pending is told", async () => {
    for (const [code, name] of [
      [4200, "forbidden"],
      [4207, "taken_over"],
      [4999, "code_4999"],
      [3000, "code_3000"],
      [1009, "message_too_big"],
      [1000, "normal"],
    ] as const) {
      const { client, clock, told, socket } = await openClient();
      const sent = outcome(client.publish("message", 1));
      const asked = outcome(client.request("state"));
      socket.end(code);
      await settle();
      assert.equal(told.states.at(-1), `closed ${name}`);
      assert.equal(sent.value, `${name}/unknown`);
      assert.equal(asked.value, name);
      assert.equal(clock.timers, 0);
      const late = outcome(client.publish("message", 1));
      await settle();
      assert.equal(late.value, "closed/unsent");
    }
  });

  test("open again after closed goes on with the session", async () => {
    const { client, net, socket } = await openClient({}, { offset: 7 });
    socket.end(4207, "taken_over");
    client.open();
    net.last().open();
    assert.deepEqual(net.last().take(), [
      { type: "hello", session: "s1", incarnation: "i1", offset: 7 },
    ]);
  });
});

describe("place", () => {
  test("durable events move it, ephemeral ones do not, and hello tells it", async () => {
    const { client, net, clock, socket, told } = await openClient({}, { offset: 5 });
    socket.receive({ type: "event", event: "m", offset: 6, time: 1 });
    socket.receive({ type: "event", event: "tick", time: 1 });
    socket.receive({ type: "event", event: "m", offset: 7, incarnation: "i2", time: 1 });
    assert.deepEqual(client.place, { incarnation: "i2", offset: 7 });
    assert.deepEqual(told.events, [6, "tick", 7]);
    socket.end();
    await clock.advance(250);
    net.last().open();
    assert.deepEqual(net.last().take(), [
      { type: "hello", session: "s1", incarnation: "i2", offset: 7 },
    ]);
    net.last().welcome({ resumed: true, offset: 9, incarnation: "i2" });
    assert.deepEqual(client.place, { incarnation: "i2", offset: 7 }, "it moves with the replay");
    net.last().receive({ type: "event", event: "m", offset: 8, time: 1 });
    assert.deepEqual(told.gaps, []);
  });

  test("a gap is told before anything after it", async () => {
    for (const reason of ["history", "incarnation", "ahead"]) {
      const { net, clock, client, told, socket } = await openClient({}, { offset: 5 });
      socket.end();
      await clock.advance(250);
      net.last().welcome({ reason, offset: 90, incarnation: "i9" });
      net.last().receive({ type: "event", event: "m", offset: 91, time: 1 });
      assert.deepEqual(told.gaps, [
        {
          reason,
          from: { incarnation: "i1", offset: 5 },
          to: { incarnation: "i9", offset: 90 },
        },
      ]);
      assert.equal(client.place?.offset, 91);
    }
  });

  test("a hole or a repetition is not believed: hello again, and the second time another socket", async () => {
    for (const offset of [5, 7, 0]) {
      const { net, clock, told, socket } = await openClient({}, { offset: 5 });
      const event = (offset: number) => ({ type: "event", event: "m", offset, time: 1 });
      socket.receive(event(offset));
      socket.receive(event(6));
      assert.deepEqual(told.events, []);
      assert.deepEqual(socket.take(), [
        { type: "hello", id: 1, session: "s1", incarnation: "i1", offset: 5 },
      ]);
      socket.receive(welcome({ id: 1, resumed: true, offset: 7 }));
      socket.receive(event(6));
      socket.receive(event(7));
      assert.deepEqual(told.events, [6, 7]);
      assert.equal(socket.closedWith, undefined);
      socket.receive(event(9));
      assert.deepEqual(told.events, [6, 7]);
      assert.equal(socket.closedWith, 4000);
      await clock.advance(250);
      net.last().open();
      assert.deepEqual(net.last().take(), [
        { type: "hello", session: "s1", incarnation: "i1", offset: 7 },
      ]);
      assert.deepEqual(told.gaps, []);
    }
  });

  test("each part of a replay is asked for after it was handled", async () => {
    const { socket, told } = await openClient();
    socket.receive({ type: "event", event: "m", offset: 1, time: 1 });
    socket.receive({ type: "more", offset: 1 });
    assert.deepEqual(told.events, [1]);
    assert.deepEqual(socket.take(), [{ type: "more" }]);
  });

  test("a place that was handed in is where it begins", async () => {
    const { client, net } = makeClient({ place: { incarnation: "", offset: 0 } });
    client.open();
    net.last().open();
    assert.deepEqual(net.last().take(), [{ type: "hello", incarnation: "", offset: 0 }]);
  });
});

describe("resync", () => {
  const event = (offset: number) => ({ type: "event", event: "m", offset, time: 1 });

  test("hello on the same socket; nothing is believed before its welcome; then as after a reconnect", async () => {
    const { client, net, socket, told } = await openClient({}, { offset: 5 });
    const heard: string[] = [];
    client.on("presence", () => heard.push("presence"));
    client.on("signal", () => heard.push("signal"));
    const all = [1, 2, 3].map((n) => outcome(client.publish("m", n)));
    const once = outcome(client.request("count"));
    const twice = outcome(client.history());
    socket.receive({ type: "ack", seq: 1, offset: 6 });
    socket.receive(event(6));
    const [, , , , asked] = socket.take();
    socket.resync();
    assert.deepEqual(socket.take(), [
      { type: "hello", id: 1, session: "s1", incarnation: "i1", offset: 6 },
    ]);
    assert.equal(client.signal("typing"), false);
    const waits = outcome(client.publish("m", 4));
    const late = outcome(client.request("state"));
    for (const message of [
      event(7),
      event(99),
      { type: "ack", seq: 3, offset: 7 },
      { type: "error", seq: 2, code: "session_lost" },
      { type: "error", seq: 2, code: "out_of_order", retry: 0, expected: 1 },
      { type: "error", code: "invalid" },
      { type: "response", id: asked?.id as number, data: { events: [], more: false } },
      { type: "signal", event: "typing" },
      { type: "presence", leave: [{ user: "ann" }] },
      { type: "more", offset: 7 },
      { type: "weather" },
      { type: "pong" },
      welcome({ session: "s9" }),
      welcome({ id: 2, session: "s9" }),
    ]) {
      socket.receive(message);
    }
    await settle();
    assert.deepEqual(socket.take(), []);
    assert.deepEqual([told.events, heard, told.errors], [[6], [], []]);
    assert.deepEqual(told.states, ["connecting", "open", "connecting"]);
    assert.equal(once.value, "disconnected");
    assert.equal(twice.value, "pending");
    socket.receive(welcome({ id: 1, seq: 2, resumed: true, offset: 8, members: [] }));
    assert.deepEqual(
      socket.take().map((m) => [m.type, m.seq ?? m.event]),
      [
        ["publish", 2],
        ["publish", 3],
        ["publish", 4],
        ["request", "history"],
        ["request", "state"],
      ],
    );
    for (const offset of [7, 8]) socket.receive(event(offset));
    for (const seq of [2, 3, 4]) socket.receive({ type: "ack", seq, offset: seq + 5 });
    await settle();
    assert.deepEqual(
      [...all, waits].map((o) => o.value),
      [6, 7, 8, 9],
    );
    assert.deepEqual(told.events, [6, 7, 8]);
    assert.deepEqual(told.states, ["connecting", "open", "connecting", "open"]);
    assert.deepEqual(heard, ["presence"]);
    assert.deepEqual(told.gaps, []);
    assert.equal(late.value, "pending");
    assert.equal(net.sockets.length, 1);
    assert.equal(socket.closedWith, undefined);
  });

  test("before the first welcome: the first hello's does not count any more", async () => {
    const { client, net, told } = makeClient();
    client.open();
    const socket = net.last();
    socket.open();
    socket.resync();
    socket.receive(welcome({ session: "s0" }));
    socket.receive(event(1));
    assert.deepEqual(socket.take(), [{ type: "hello" }, { type: "hello", id: 1 }]);
    socket.receive(welcome({ id: 1 }));
    assert.deepEqual(told.states, ["connecting", "open"]);
    void client.publish("m", 1);
    assert.equal(socket.take()[0]?.seq, 1);
  });

  test("a second one begins anew; the next socket counts its hellos anew", async () => {
    const { net, clock, socket, told } = await openClient();
    socket.resync();
    socket.resync();
    socket.receive(welcome({ id: 1, resumed: true }));
    assert.equal(told.states.at(-1), "connecting");
    socket.receive(welcome({ id: 2, resumed: true }));
    assert.deepEqual(told.states, ["connecting", "open", "connecting", "open"]);
    assert.deepEqual(
      socket.take().map((m) => m.id),
      [1, 2],
    );
    socket.end();
    await clock.advance(250);
    net.last().open();
    assert.equal(net.last().take()[0]?.id, undefined);
  });

  test("without a welcome in time: another socket", async () => {
    const { net, clock, socket, told } = await openClient(
      { connectTimeout: 1000 },
      { heartbeat: 0 },
    );
    await clock.advance(100_000);
    socket.resync();
    await clock.advance(999);
    socket.resync();
    await clock.advance(999);
    assert.equal(socket.closedWith, undefined);
    await clock.advance(1);
    assert.equal(socket.closedWith, 4000);
    assert.equal(told.states.at(-1), "waiting timeout");
    await clock.advance(250);
    assert.equal(net.sockets.length, 2);
  });

  test("the heartbeat goes on", async () => {
    const { clock, socket, told } = await openClient(
      { connectTimeout: 60_000 },
      { heartbeat: 1000 },
    );
    socket.resync();
    socket.take();
    await clock.advance(1000);
    assert.deepEqual(socket.take(), [{ type: "ping" }]);
    await clock.advance(1000);
    assert.equal(told.states.at(-1), "waiting heartbeat_timeout");
  });

  test("a gap, and a session that is lost, are told as after a reconnect", async () => {
    const { client, socket, told } = await openClient({}, { offset: 5 });
    const sent = outcome(client.publish("m", 1));
    socket.resync();
    socket.take();
    const waits = outcome(client.publish("m", 2));
    socket.receive(
      welcome({ id: 1, session: "s2", reason: "history", incarnation: "i9", offset: 90 }),
    );
    await settle();
    assert.equal(sent.value, "session_lost/unknown");
    assert.equal(waits.value, "pending");
    assert.deepEqual(
      socket.take().map((m) => [m.seq, m.data]),
      [[1, 2]],
    );
    assert.deepEqual(told.gaps, [
      {
        reason: "history",
        from: { incarnation: "i1", offset: 5 },
        to: { incarnation: "i9", offset: 90 },
      },
    ]);
  });

  test("an observer may close the client, and open it again", async () => {
    for (const reopen of [false, true]) {
      const { client, clock, net, socket } = await openClient();
      const off = client.on("state", (s) => {
        if (s.name !== "connecting") return;
        off();
        void client.close();
        if (reopen) client.open();
      });
      socket.resync();
      assert.deepEqual([socket.take(), net.last().take()], [[], []]);
      assert.equal(socket.closedWith, 1000);
      assert.equal(net.sockets.length, reopen ? 2 : 1);
      await clock.advance(1000);
      if (!reopen) assert.equal(clock.timers, 0);
    }
  });
});

describe("storage", () => {
  const memory = (): Map<string, string> & {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
    removeItem(key: string): void;
  } =>
    Object.assign(new Map<string, string>(), {
      getItem(this: Map<string, string>, key: string) {
        return this.get(key) ?? null;
      },
      setItem(this: Map<string, string>, key: string, value: string) {
        this.set(key, value);
      },
      removeItem(this: Map<string, string>, key: string) {
        this.delete(key);
      },
    });

  test("a session is kept on close({keep}), taken once, and forgotten otherwise", async () => {
    const storage = memory();
    const first = await openClient({ storage }, { offset: 3 });
    assert.equal(storage.size, 0, "a duplicated tab finds nothing");
    void first.client.close({ keep: true });
    assert.equal(first.socket.closedWith, 4000);
    assert.deepEqual([...storage], [["oriel:chat/lobby", '["s1","i1",3]']]);

    const second = makeClient({ storage });
    second.client.open();
    assert.equal(storage.size, 0);
    second.net.last().open();
    assert.deepEqual(second.net.last().take(), [
      { type: "hello", session: "s1", incarnation: "i1", offset: 3 },
    ]);
    void second.client.close();
    assert.equal(storage.size, 0);
  });

  test("what is no session, and a storage that throws, count as nothing", () => {
    for (const text of ["", "{}", "[1]", "[null,1,2]", "hello", '["s","i"']) {
      const storage = memory();
      storage.set("oriel:chat/lobby", text);
      const { client, net } = makeClient({ storage });
      client.open();
      net.last().open();
      assert.deepEqual(net.last().take(), [{ type: "hello" }], text);
    }
    const broken = (): never => {
      throw new Error("forbidden");
    };
    const { client } = makeClient({
      storage: { getItem: broken, setItem: broken, removeItem: broken },
    });
    client.open();
    void client.close({ keep: true });
  });
});

describe("heartbeat", () => {
  test("a ping after an interval of silence, and the end after another", async () => {
    const { clock, socket, told } = await openClient({}, { heartbeat: 1000 });
    await clock.advance(999);
    assert.deepEqual(socket.take(), []);
    await clock.advance(1);
    assert.deepEqual(socket.texts.splice(0), ['{"type":"ping"}']);
    socket.receive({ type: "pong" });
    await clock.advance(1000);
    assert.deepEqual(socket.take(), [{ type: "ping" }]);
    await clock.advance(999);
    assert.equal(told.states.at(-1), "open");
    await clock.advance(1);
    assert.equal(told.states.at(-1), "waiting heartbeat_timeout");
    assert.equal(socket.closedWith, 4000);
  });

  test("one who talks and hears nothing finds out too", async () => {
    const { client, clock, told } = await openClient({}, { heartbeat: 1000 });
    for (let i = 0; i < 20; i++) {
      client.signal("typing", true);
      await clock.advance(100);
    }
    assert.equal(told.states.at(-1), "waiting heartbeat_timeout");
  });

  test("a timer that comes late is no proof of silence", async () => {
    const { clock, socket, told } = await openClient({}, { heartbeat: 1000 });
    clock.freeze(60_000);
    await clock.advance(0);
    assert.deepEqual(socket.take(), [{ type: "ping" }]);
    socket.receive({ type: "pong" });
    await clock.advance(500);
    assert.equal(told.states.at(-1), "open");
  });

  test("waking an open client asks whether the connection lives", async () => {
    const { client, clock, socket, told } = await openClient({}, { heartbeat: 25_000 });
    client.wake();
    assert.deepEqual(socket.take(), [{ type: "ping" }]);
    await clock.advance(5000);
    assert.equal(told.states.at(-1), "waiting heartbeat_timeout");
  });

  test("0 asks for none", async () => {
    const { client, clock, socket } = await openClient({}, { heartbeat: 0 });
    client.wake();
    await clock.advance(3_600_000);
    assert.deepEqual(socket.take(), []);
  });
});

describe("close", () => {
  test("it ends in every state: no timer, no socket, every promise settled", async () => {
    for (const at of ["idle", "credential", "connecting", "greeting", "open", "waiting"]) {
      const { client, clock, net } = makeClient({ credential: async () => "t" });
      const published = outcome(client.publish("message", 1));
      const asked = outcome(client.request("state"));
      if (at !== "idle") client.open();
      if (at !== "idle" && at !== "credential") await settle();
      if (at === "greeting") net.last().open();
      if (at === "open") net.last().welcome();
      if (at === "waiting") net.last().end();
      const closed = client.close();
      await clock.advance(1000);
      await closed;
      assert.equal(clock.timers, 0, at);
      assert.equal(published.value, at === "open" ? "closed/unknown" : "closed/unsent", at);
      assert.equal(asked.value, "closed", at);
      assert.equal(client.state.name, "closed");
      if (at === "open") assert.equal(net.last().closedWith, 1000, "the session is ended");
      const made = net.sockets.length;
      await clock.advance(3_600_000);
      assert.equal(net.sockets.length, made, at);
      await client.close();
    }
  });

  test("it waits for the other side, for a second at most", async () => {
    const { client, clock, socket } = await openClient();
    const closed = outcome(client.close().then(() => "closed"));
    await clock.advance(999);
    assert.equal(closed.value, "pending");
    socket.end(1000);
    await settle();
    assert.equal(closed.value, "closed");
    assert.equal(clock.timers, 0);
  });

  test("an observer may close at any moment", async () => {
    for (const state of ["connecting", "open", "waiting"]) {
      const { client, net, clock } = makeClient();
      client.on("state", (s) => {
        if (s.name === state) void client.close();
      });
      client.open();
      if (net.sockets.length > 0) {
        net.last().welcome({ reason: "history" });
        net.last().end();
      }
      await clock.advance(100_000);
      assert.equal(client.state.name, "closed", state);
      assert.equal(clock.timers, 0, state);
    }
  });
});

describe("observers", () => {
  test("one that throws stops neither the others nor the client", async () => {
    const { client, socket, told } = await openClient();
    const uncaught: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => uncaught.push(error));
    try {
      const off = client.on("event", () => {
        throw new Error("mine");
      });
      const seen: unknown[] = [];
      client.on("event", (e) => seen.push(e.offset));
      socket.receive({ type: "event", event: "m", offset: 1, time: 1 });
      off();
      socket.receive({ type: "event", event: "m", offset: 2, time: 1 });
      await settle();
      assert.deepEqual(seen, [1, 2]);
      assert.deepEqual(told.events, [1, 2]);
      assert.equal((uncaught[0] as Error).message, "mine");
      assert.equal(uncaught.length, 1);
    } finally {
      for (const listener of listeners) process.on("uncaughtException", listener);
    }
  });
});

describe("presence and signals", () => {
  test("deltas, whole lists, counts and back", async () => {
    const { client, socket } = await openClient(
      {},
      { members: [{ user: "ann", connections: 2, data: { name: "Ann" } }] },
    );
    const here = () => [...(client.presence.members?.keys() ?? ["?"])];
    assert.deepEqual(client.presence.counts, { users: 1, connections: 2 });
    socket.receive({ type: "presence", join: [{ user: "bob", connections: 1 }] });
    assert.deepEqual(here(), ["ann", "bob"]);
    socket.receive({
      type: "presence",
      join: [{ user: "bob", connections: 3 }],
      leave: [{ user: "ann" }],
    });
    assert.deepEqual(here(), ["bob"]);
    assert.deepEqual(client.presence.counts, { users: 1, connections: 3 });
    socket.receive({ type: "presence", counts: { users: 900, connections: 901 } });
    assert.equal(client.presence.members, undefined);
    socket.receive({ type: "presence", join: [{ user: "eve", connections: 1 }] });
    assert.deepEqual(client.presence.counts, { users: 900, connections: 901 });
    socket.receive({ type: "presence", members: [{ user: "eve", connections: 1 }] });
    assert.deepEqual(here(), ["eve"]);
  });

  test("signals go out only on a connection", async () => {
    const { client, socket } = await openClient();
    const heard: unknown[] = [];
    client.on("signal", (s) => heard.push(s));
    assert.equal(client.signal("typing", true), true);
    assert.deepEqual(socket.take(), [{ type: "signal", event: "typing", data: true }]);
    socket.receive({ type: "signal", event: "typing", from: "bob", data: true });
    assert.deepEqual(heard, [{ event: "typing", from: "bob", data: true }]);
    const notices: unknown[] = [];
    client.on("notify", (n) => notices.push(n));
    socket.receive({ type: "signal", event: "oriel.notify.mention", data: { by: "eve" } });
    assert.deepEqual(notices, [{ event: "mention", data: { by: "eve" } }]);
    assert.equal(heard.length, 1);
    socket.end();
    assert.equal(client.signal("typing", true), false);
  });

  test("errors of nothing named are told", async () => {
    const { socket, told } = await openClient();
    socket.receive({ type: "error", code: "unknown_event", message: "signal: nod" });
    assert.equal(told.errors[0]?.code, "unknown_event");
    assert.equal(told.errors[0]?.message, "unknown_event: signal: nod");
  });
});
