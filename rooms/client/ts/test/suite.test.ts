/*
 * What a client does over real sockets: against a small server in this process, or with
 * ORIEL_URL against the real one (`oriel serve --dev`), the same.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import {
  Client,
  type ClientOptions,
  type RoomEvent,
  type SocketConstructor,
} from "../src/index.ts";
import { startServer } from "./kit/server.ts";

let url = process.env.ORIEL_URL ?? "";
let stop = async (): Promise<void> => {};
const clients: Client[] = [];

before(async () => {
  if (!url) ({ url, stop } = await startServer());
});
after(async () => {
  await Promise.all(clients.map((c) => c.close()));
  await stop();
});

/** A WebSocket class whose newest socket can be broken, or lose messages and say so. */
function breakable() {
  let last: Recorded | undefined;
  let sockets = 0;
  class Recorded extends WebSocket {
    lossy = 0; // messages that are lost, in either direction, until a resync

    constructor(address: string, protocols: string[]) {
      super(address, protocols);
      last = this;
      sockets++;
    }

    override send(data: string): void {
      if (!this.#lost()) super.send(data);
    }

    override emit(event: string | symbol, ...args: unknown[]): boolean {
      return event === "message" && this.#lost() ? true : super.emit(event, ...args);
    }

    #lost(): boolean {
      if (this.lossy === 0) return false;
      if (this.lossy > 1) this.lossy--;
      else {
        setImmediate(() => {
          this.lossy = 0;
          this.emit("message", Buffer.from('{"type":"resync"}'), false);
        });
      }
      return true;
    }
  }
  return {
    WebSocket: Recorded as unknown as SocketConstructor,
    cut: () => last?.terminate(),
    lose: (messages: number) => {
      if (last) last.lossy = messages;
    },
    sockets: () => sockets,
  };
}

function connect(user: string, room: string, options: Partial<ClientOptions> = {}) {
  const net = breakable();
  const client = new Client({
    url,
    kind: "chat",
    room,
    credential: async () => {
      const answer = await fetch(`${url}/v1/dev/token?user=${user}`);
      return ((await answer.json()) as { token: string }).token;
    },
    WebSocket: net.WebSocket,
    backoff: { base: 20 },
    ...options,
  });
  clients.push(client);
  const events: RoomEvent[] = [];
  client.on("event", (event) => events.push(event));
  return { client: client.open(), net, events };
}

const text = (event: RoomEvent): unknown => (event.data as { text?: unknown }).text;
const name = (what: string): string => `suite-${what}-${crypto.randomUUID().slice(0, 8)}`;

/** Resolves when `condition` holds; looks at it whenever the clients tell something. */
function until(condition: () => boolean, ...watched: Client[]): Promise<void> {
  return new Promise((resolve) => {
    const off: (() => void)[] = [];
    const look = (): void => {
      if (!condition()) return;
      for (const f of off) f();
      resolve();
    };
    for (const client of watched) {
      for (const what of ["state", "event", "presence", "signal"] as const) {
        off.push(client.on(what, look));
      }
    }
    look();
  });
}

describe("over real sockets", { timeout: 30_000 }, () => {
  test("two talk, see each other, and see each other typing", async () => {
    const room = name("talk");
    const ann = connect("ann", room);
    const bob = connect("bob", room);
    await until(() => ann.client.presence.counts.users === 2, ann.client);
    await until(() => bob.client.presence.counts.users === 2, bob.client);
    const heard = new Promise((resolve) => bob.client.on("signal", resolve));
    assert.equal(ann.client.signal("typing", true), true);
    assert.deepEqual(await heard, { event: "typing", from: "ann", data: true });
    assert.equal(await ann.client.publish("message", { text: "grüße 🌍" }), 1);
    assert.equal(await bob.client.publish("message", { text: "hi" }), 2);
    for (const { client, events } of [ann, bob]) {
      await until(() => events.length === 2, client);
      assert.deepEqual(events.map(text), ["grüße 🌍", "hi"]);
      assert.deepEqual(
        events.map((e) => [e.from, e.offset]),
        [
          ["ann", 1],
          ["bob", 2],
        ],
      );
    }
    await bob.client.close();
    await until(() => ann.client.presence.counts.users === 1, ann.client);
  });

  test("what the room refuses rejects, and the next one goes through", async () => {
    const { client } = connect("ann", name("refuse"));
    await assert.rejects(client.publish("message", { text: "" }), {
      code: "invalid",
      outcome: "refused",
    });
    assert.equal(await client.publish("message", { text: "hi" }), 1);
    await assert.rejects(client.request("no_such_request"), { code: "unknown_event" });
  });

  test("history in pages, both ways", async () => {
    const { client } = connect("ann", name("pages"));
    for (let i = 1; i <= 7; i++) await client.publish("message", { text: `${i}` });
    const last = await client.history({ limit: 3 });
    assert.deepEqual([last.events.map((e) => e.offset), last.more], [[5, 6, 7], true]);
    const middle = await client.history({ before: 5, limit: 3 });
    assert.deepEqual([middle.events.map(text), middle.more], [["2", "3", "4"], true]);
    const first = await client.history({ before: 2, limit: 3 });
    assert.deepEqual([first.events.map(text), first.more], [["1"], false]);
    const next = await client.history({ after: 5 });
    assert.deepEqual([next.events.map(text), next.more], [["6", "7"], false]);
  });

  test("connections break all the time: each message once, in order, for everybody", async () => {
    const room = name("break");
    const ann = connect("ann", room);
    const bob = connect("bob", room);
    await until(() => ann.client.state.name === "open", ann.client);
    await until(() => bob.client.state.name === "open", bob.client);
    const gaps: unknown[] = [];
    for (const { client } of [ann, bob]) client.on("gap", (gap) => gaps.push(gap));
    const all: Promise<number | undefined>[] = [];
    for (let i = 0; i < 60; i++) {
      all.push(ann.client.publish("message", { text: `${i}` }));
      if (i % 12 === 5) ann.net.cut();
      if (i % 20 === 7) bob.net.cut();
      await all[Math.max(0, i - 3)];
    }
    const offsets = await Promise.all(all);
    assert.deepEqual(
      offsets,
      offsets.map((_, i) => i + 1),
    );
    for (const { client, events } of [ann, bob]) {
      await until(() => events.length >= 60, client);
      assert.deepEqual(
        events.map(text),
        offsets.map((_, i) => `${i}`),
      );
    }
    assert.deepEqual(gaps, []);
  });

  test("messages are lost behind the gateway all the time: the same, on one socket", async () => {
    const room = name("resync");
    const ann = connect("ann", room);
    const bob = connect("bob", room);
    await until(() => ann.client.state.name === "open", ann.client);
    await until(() => bob.client.state.name === "open", bob.client);
    const gaps: unknown[] = [];
    const states: string[] = [];
    for (const { client } of [ann, bob]) {
      client.on("gap", (gap) => gaps.push(gap));
      client.on("state", (state) => states.push(state.name));
    }
    const all: Promise<number | undefined>[] = [];
    for (let i = 0; i < 60; i++) {
      if (i % 12 === 5) ann.net.lose(3); // publishes, and what comes in between
      all.push(ann.client.publish("message", { text: `${i}` }));
      if (i % 12 === 9) ann.net.lose(2); // an answer at least
      if (i % 20 === 7) bob.net.lose(2); // events
      await all[Math.max(0, i - 3)];
    }
    const offsets = await Promise.all(all);
    assert.deepEqual(
      offsets,
      offsets.map((_, i) => i + 1),
    );
    for (const { client, events, net } of [ann, bob]) {
      await until(() => events.length >= 60, client);
      assert.deepEqual(
        events.map(text),
        offsets.map((_, i) => `${i}`),
      );
      assert.equal(net.sockets(), 1);
    }
    assert.deepEqual(gaps, []);
    assert.ok(states.includes("connecting") && !states.includes("waiting"));
  });

  test("a session goes on in a later client; the newer connection takes it over", async () => {
    const room = name("reload");
    const kept = new Map<string, string>();
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key),
    };
    const first = connect("ann", room, { storage });
    await first.client.publish("message", { text: "1" });
    await first.client.close({ keep: true });
    const copy = [...kept];
    const other = connect("bob", room);
    await other.client.publish("message", { text: "2" });
    const second = connect("ann", room, { storage });
    assert.equal(await second.client.publish("message", { text: "3" }), 3);
    await until(() => second.events.length === 2, second.client);
    assert.deepEqual(second.events.map(text), ["2", "3"]);
    for (const [key, value] of copy) kept.set(key, value);
    const third = connect("ann", room, { storage });
    await until(() => second.client.state.name === "closed", second.client);
    const { state } = second.client;
    assert.equal(state.name === "closed" && state.why.code, "taken_over");
    await until(() => third.client.state.name === "open", third.client);
  });

  test("an unknown kind ends it; a wrong credential is asked for again", async () => {
    const lost = connect("ann", "x", { kind: "no-such-kind" });
    await until(() => lost.client.state.name === "closed", lost.client);
    const { state } = lost.client;
    assert.equal(state.name === "closed" && state.why.code, "unknown_kind");

    const told: (string | undefined)[] = [];
    const wrong = connect("ann", "x", {
      credential: ({ refused }) => {
        told.push(refused?.code);
        return "not.a.token";
      },
    });
    await until(() => told.length >= 2, wrong.client);
    assert.deepEqual(told.slice(0, 2), [undefined, "unauthenticated"]);
    await wrong.client.close();
  });

  test("the platform's own WebSocket works too", async (t) => {
    if (!("WebSocket" in globalThis)) return t.skip("this Node has none");
    const { client } = connect("ann", name("own"), { WebSocket: undefined });
    assert.equal(await client.publish("message", { text: "hi" }), 1);
    await client.close();
    assert.equal(client.state.name, "closed");
  });
});
