import type { Clock } from "../../src/index.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that moves when the test says so. */
export class FakeClock implements Clock {
  #now = 1_790_000_000_000;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): Timer {
    const timer = { at: this.#now + ms, callback };
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as Timer);
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** When the next timer is due, in ms from now; Infinity if none is set. */
  get next(): number {
    return Math.min(...[...this.#timers].map((t) => t.at - this.#now), Number.POSITIVE_INFINITY);
  }

  /** Lets `ms` pass, timer by timer, promises settling in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    while (this.next <= end - this.#now) {
      const timer = [...this.#timers].reduce((a, b) => (b.at < a.at ? b : a));
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.callback();
      await settle();
    }
    this.#now = end;
  }

  /** Lets `ms` pass without any timer firing, like a page that was frozen. */
  freeze(ms: number): void {
    this.#now += ms;
  }
}

/** Lets what is ready run: promises and the microtasks that they start. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
