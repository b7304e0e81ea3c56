import type { Clock } from "./clock.ts";
import { OrielError, type Outcome } from "./errors.ts";

/** Bounds of what waits to be published and of what is not answered yet, together. */
export interface OutboxOptions {
  /** Default 1,000 publishes. */
  readonly count?: number | undefined;
  /** Default 1,048,576 bytes of messages. */
  readonly bytes?: number | undefined;
}

/** What the room asked to wait for. */
export interface Held {
  /** Why: `rate_limited`, for instance. */
  readonly error: OrielError;
  /** When it is sent again, by the client's clock. */
  readonly until: number;
}

interface Publish {
  seq: number; // 0: it has no number yet
  readonly encode: (seq: number) => string;
  readonly bytes: number;
  /** It has to be sent (again) on this connection. */
  due: boolean;
  /** It certainly has no effect so far: never sent, or what was sent was turned away. */
  sure: boolean;
  /** How many times it is on this connection's way without an answer. */
  flights: number;
  /** Its promise is settled; only its number still has to be consumed. */
  settled: boolean;
  timer: unknown;
  readonly resolve: (offset: number | undefined) => void;
  readonly reject: (error: OrielError) => void;
}

const lost = "session_lost";

/** The number of a message that is not yet numbered has at most so many bytes. */
const seqBytes = 16;

/**
 * The publishes of one session, in order: those with a number, sent and not answered, and
 * those that wait without one. It keeps section 6 of the protocol.
 */
export class Outbox {
  #open: Publish[] = [];
  #waiting: Publish[] = [];
  #next = 1;
  #answered = 0; // the highest number that was answered for good
  #bytes = 0;
  #limit = 64;
  #message = 0; // bytes of the largest message; 0: not known yet
  #live = false;
  #hold: { readonly seq: number; readonly timer: unknown } | undefined;
  #refusals = 0; // in a row, without any progress

  readonly #clock: Clock;
  readonly #options: OutboxOptions;
  readonly #send: (text: string) => void;
  readonly #held: (held: Held) => void;

  constructor(
    clock: Clock,
    options: OutboxOptions,
    send: (text: string) => void,
    held: (held: Held) => void,
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#send = send;
    this.#held = held;
  }

  /** How many publishes are not settled. */
  get size(): number {
    let settled = 0;
    for (const p of this.#open) if (p.settled) settled++;
    return this.#open.length + this.#waiting.length - settled;
  }

  /** Takes a publish. It fails at once when there is no room for it, and after `timeout` ms. */
  add(encode: (seq: number) => string, timeout: number): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      // A lone surrogate counts three bytes, like the U+FFFD that stands for it on the way.
      const bytes = new TextEncoder().encode(encode(1)).length + seqBytes - 1;
      if (this.#message && bytes > this.#message) throw tooLarge();
      const { count = 1000, bytes: room = 1 << 20 } = this.#options;
      if (this.size >= count || this.#bytes + bytes > room) {
        throw new OrielError("queue_full", "too much waits to be published", { outcome: "unsent" });
      }
      const p: Publish = {
        seq: 0,
        encode,
        bytes,
        due: true,
        sure: true,
        flights: 0,
        settled: false,
        timer: undefined,
        resolve,
        reject,
      };
      p.timer = this.#clock.setTimeout(() => this.#expire(p), timeout);
      this.#bytes += bytes;
      this.#waiting.push(p);
      this.#flush();
    });
  }

  /**
   * The welcome of a connection: the session's last consumed number, and whether the session
   * is the one before. It answers false if the room has lost what it had acknowledged; then
   * the session has to be given up.
   */
  welcome(seq: number, same: boolean, limits: { message: number; open: number }): boolean {
    if (!same) this.lose();
    else if (seq < this.#answered) return false;
    this.#next = Math.max(this.#next, seq + 1);
    this.#limit = Math.max(1, limits.open);
    this.#message = limits.message;
    this.#live = true;
    for (const p of this.#open) p.due = true;
    for (const p of this.#waiting.filter((p) => this.#message && p.bytes > this.#message)) {
      this.#waiting.splice(this.#waiting.indexOf(p), 1);
      this.#settle(p)?.reject(tooLarge());
    }
    this.#flush();
    return true;
  }

  /** The connection has gone. */
  disconnected(): void {
    this.#live = false;
    for (const p of this.#open) p.flights = 0;
  }

  /** The session is lost: what may have had an effect is told so, the rest starts again at 1. */
  lose(): void {
    this.#release();
    const kept: Publish[] = [];
    for (const p of this.#open) {
      p.flights = p.seq = 0;
      p.due = true;
      if (p.settled) this.#bytes -= p.bytes;
      else if (p.sure) kept.push(p);
      else this.#fail(p, new OrielError(lost, "outcome unknown", { outcome: "unknown" }));
    }
    this.#open = [];
    this.#waiting = [...kept, ...this.#waiting];
    this.#next = 1;
    this.#answered = this.#refusals = 0;
  }

  /** The final answer of a publish: its offset, or the error. */
  answer(seq: number, result: number | undefined | OrielError): void {
    const i = this.#open.findIndex((p) => p.seq === seq);
    const p = this.#open[i];
    if (!p) return; // the second answer of a publish that was sent twice
    this.#answered = Math.max(this.#answered, seq);
    this.#refusals = 0;
    this.#open.splice(i, 1);
    if (this.#hold?.seq === seq) this.#release();
    if (result instanceof OrielError) this.#settle(p)?.reject(result);
    else this.#settle(p)?.resolve(result);
    this.#flush();
  }

  /**
   * A retryable error: its number is not consumed, and nothing after it is. It answers false
   * if the room has lost what it had acknowledged.
   */
  refuse(seq: number, error: OrielError, expected: number | undefined): boolean {
    if (expected !== undefined && expected <= this.#answered) return false;
    const p = this.#open.find((p) => p.seq === seq);
    if (!p) return true;
    p.flights--;
    // It stands behind another refusal, or a newer copy of it is on its way.
    if (p.due || p.flights > 0) return true;
    const from = Math.min(seq, expected ?? seq);
    for (const q of this.#open) if (q.seq >= from) q.due = q.sure = true;
    // A room that refuses without end, and says "at once", is not asked in a loop.
    const least = this.#refusals++ < 3 ? 0 : Math.min(50 * 2 ** this.#refusals, 5000);
    const delay = Math.max(error.retry ?? 0, least);
    this.#release();
    if (delay > 0) {
      const timer = this.#clock.setTimeout(() => {
        this.#hold = undefined;
        this.#flush();
      }, delay);
      this.#hold = { seq: from, timer };
      this.#held({ error, until: this.#clock.now() + delay });
    }
    this.#flush();
    return true;
  }

  /** Ends every publish. */
  close(error: (outcome: Outcome) => OrielError): void {
    this.#live = false;
    this.#release();
    const all = [...this.#open, ...this.#waiting];
    this.#open = [];
    this.#waiting = [];
    for (const p of all) this.#settle(p)?.reject(error(p.sure ? "unsent" : "unknown"));
  }

  #flush(): void {
    for (const p of [...this.#open]) {
      if (!this.#live || (this.#hold && p.seq >= this.#hold.seq)) return;
      if (p.due) this.#transmit(p);
    }
    while (this.#live && !this.#hold && this.#open.length < this.#limit) {
      const p = this.#waiting.shift();
      if (!p) return;
      p.seq = this.#next++;
      this.#open.push(p);
      this.#transmit(p);
    }
  }

  #transmit(p: Publish): void {
    p.due = p.sure = false;
    p.flights++;
    this.#send(p.encode(p.seq));
  }

  #release(): void {
    this.#clock.clearTimeout(this.#hold?.timer);
    this.#hold = undefined;
  }

  /** The time of a publish is over. */
  #expire(p: Publish): void {
    if (p.seq === 0) {
      this.#waiting.splice(this.#waiting.indexOf(p), 1);
      this.#settle(p)?.reject(timeout("unsent"));
      return;
    }
    const after = this.#open.filter((q) => q.seq >= p.seq);
    if (p.sure && after.every((q) => q.flights === 0)) {
      // Nothing with its number is on its way, so the others can move up.
      this.#open.splice(this.#open.indexOf(p), 1);
      for (const q of after) q.seq--;
      this.#next--;
      this.#settle(p)?.reject(timeout("unsent"));
      return;
    }
    // Its number has to be consumed before any later one, so it stays and may still take effect.
    this.#fail(p, timeout("unknown"));
    this.#bytes += p.bytes;
  }

  #fail(p: Publish, error: OrielError): void {
    this.#settle(p)?.reject(error);
  }

  /** Takes a publish off the account; undefined if its promise is settled already. */
  #settle(p: Publish): Publish | undefined {
    this.#clock.clearTimeout(p.timer);
    this.#bytes -= p.bytes;
    if (p.settled) return undefined;
    p.settled = true;
    return p;
  }
}

function tooLarge(): OrielError {
  return new OrielError("too_large", "larger than the room's messages", { outcome: "unsent" });
}

function timeout(outcome: Outcome): OrielError {
  return new OrielError("timeout", "not acknowledged in time", { outcome });
}
