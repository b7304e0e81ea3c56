import type { Clock } from "./clock.ts";
import { OrielError } from "./errors.ts";

/** How one request is asked. */
export interface RequestOptions {
  /** Milliseconds until it fails with `timeout`, waiting for a connection included. Default 15,000. */
  readonly timeout?: number | undefined;
  /**
   * Ask again after a reconnect, and after an error that says so, until the time is over. Only
   * for requests that may be answered twice. Default false: it fails with `disconnected`.
   */
  readonly retry?: boolean | undefined;
}

interface Asked {
  readonly id: number;
  readonly text: string;
  readonly retry: boolean;
  readonly timer: unknown;
  pause: unknown; // timer until it is asked again
  sent: boolean;
  readonly resolve: (data: unknown) => void;
  readonly reject: (error: OrielError) => void;
}

/** The requests that have no answer yet. */
export class Requests {
  readonly #open = new Map<number, Asked>();
  #next = 1;
  readonly #clock: Clock;
  /** Sends one message if the client is live, and says whether it did. */
  readonly #send: (text: string) => boolean;

  constructor(clock: Clock, send: (text: string) => boolean) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Asks, now or once the client is live. `encode` makes the message. */
  add(encode: (id: number) => string, limit: number, options: RequestOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#open.size >= limit) throw new OrielError("queue_full", "too many open requests");
      const id = this.#next++;
      const text = encode(id);
      const timer = this.#clock.setTimeout(
        () => this.#end(id)?.reject(new OrielError("timeout", "no answer in time")),
        options.timeout ?? 15_000,
      );
      const retry = options.retry === true;
      const asked = { id, text, retry, timer, pause: undefined, sent: false, resolve, reject };
      this.#open.set(id, asked);
      this.#ask(asked);
    });
  }

  /** The client is live: asks what waits. */
  live(): void {
    for (const asked of this.#open.values()) if (!asked.sent) this.#ask(asked);
  }

  /** The connection has gone. */
  disconnected(): void {
    for (const asked of [...this.#open.values()]) {
      this.#clock.clearTimeout(asked.pause);
      if (asked.sent && !asked.retry) this.#end(asked.id)?.reject(new OrielError("disconnected"));
      else asked.sent = false;
    }
  }

  response(id: number, data: unknown): void {
    this.#end(id)?.resolve(data);
  }

  error(id: number, error: OrielError): void {
    const asked = this.#open.get(id);
    if (!asked) return;
    if (!asked.retry || error.retry === undefined) {
      this.#end(id)?.reject(error);
      return;
    }
    // At least a moment: a room that always says "at once" is not asked in a loop.
    const ask = (): void => this.#ask(asked);
    asked.pause = this.#clock.setTimeout(ask, Math.max(error.retry, 100));
  }

  close(error: OrielError): void {
    for (const id of [...this.#open.keys()]) this.#end(id)?.reject(error);
  }

  #ask(asked: Asked): void {
    asked.sent = this.#send(asked.text);
  }

  #end(id: number): Asked | undefined {
    const asked = this.#open.get(id);
    if (!asked) return undefined;
    this.#clock.clearTimeout(asked.timer);
    this.#clock.clearTimeout(asked.pause);
    this.#open.delete(id);
    return asked;
  }
}
