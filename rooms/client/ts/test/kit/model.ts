import type { Json } from "../../src/index.ts";
import { FakeSocket, type Sent, welcome } from "./socket.ts";

/** A repeatable source of numbers in [0, 1): mulberry32. */
export function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Sections 5 to 7 of the protocol as a room keeps them, for one session at a time: what was
 * accepted, in order. `refuse` says whether a publish is turned away, and for how long.
 */
export class ModelRoom {
  readonly history: { readonly seq: number; readonly data: Json }[] = [];
  refuse: () => number | undefined = () => undefined;
  #session = 0;
  #last = 0;
  readonly #answers = new Map<number, Json>();

  /** The next hello with the session finds it unknown. */
  forget(): void {
    this.#session++;
    this.#last = 0;
    this.#answers.clear();
  }

  /** Answers one message of the client. */
  handle(m: Sent): Json[] {
    if (m.type === "hello") {
      const incarnation = "i";
      const from = typeof m.offset === "number" ? m.offset : undefined;
      const session = `s${this.#session}`;
      const offset = this.history.length;
      const resumed = from !== undefined;
      const reason = resumed ? null : "new";
      return [
        welcome({
          id: (m.id ?? null) as Json,
          session,
          incarnation,
          offset,
          seq: this.#last,
          resumed,
          reason,
          heartbeat: 0,
        }),
        ...this.history.slice(from ?? offset).map((e, i) => event((from ?? 0) + i + 1, e.data)),
      ];
    }
    if (m.type !== "publish") return [];
    const seq = m.seq as number;
    const known = this.#answers.get(seq);
    if (known) return [known];
    if (seq > this.#last + 1 || seq <= this.#last) {
      const code = seq > this.#last + 64 ? "too_many_open" : "out_of_order";
      return [{ type: "error", seq, code, retry: 0, expected: this.#last + 1 }];
    }
    const retry = this.refuse();
    if (retry !== undefined) return [{ type: "error", seq, code: "rate_limited", retry }];
    this.#last = seq;
    this.history.push({ seq, data: m.data as Json });
    const ack = { type: "ack", seq, offset: this.history.length };
    this.#answers.set(seq, ack);
    this.#answers.delete(seq - 64);
    return [ack, event(this.history.length, m.data as Json)];
  }
}

function event(offset: number, data: Json): Json {
  return { type: "event", event: "message", offset, time: 1, data };
}

/** Sockets that deliver to a room message by message, when the test says so. */
export class ModelNet {
  readonly room: ModelRoom;
  #socket: FakeSocket | undefined;
  #up: Sent[] = [];
  #down: Json[] = [];
  readonly WebSocket: typeof FakeSocket;

  constructor(room: ModelRoom) {
    this.room = room;
    const net = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        net.#socket = this;
        net.#up = [];
        net.#down = [];
        queueMicrotask(() => this.open());
      }

      override send(text: string): void {
        if (net.#socket === this) net.#up.push(JSON.parse(text) as Sent);
      }
    };
  }

  /** Moves one message, in the direction asked for. Says whether there was one. */
  step(up: boolean): boolean {
    if (up) {
      const message = this.#up.shift();
      if (message) this.#down.push(...this.room.handle(message));
      return message !== undefined;
    }
    const message = this.#down.shift();
    if (message !== undefined) this.#socket?.receive(message);
    return message !== undefined;
  }

  /**
   * The way behind the gateway breaks, and another node takes the room over. Of what the client
   * said the first messages are heard, the next are lost, and the last wait; of what the room
   * said the last are lost.
   */
  lose(random: () => number): void {
    const upTo = (n: number): number => Math.floor(random() * (n + 1));
    this.#down.splice(upTo(this.#down.length));
    for (const message of this.#up.splice(0, upTo(this.#up.length))) this.room.handle(message);
    this.#up.splice(0, upTo(this.#up.length));
    this.#down.push('{"type":"resync"}');
  }

  /** The connection breaks; what was on its way is lost. */
  cut(): void {
    const socket = this.#socket;
    this.#up = [];
    this.#down = [];
    socket?.end();
  }
}
