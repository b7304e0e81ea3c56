import type { RoomState, Store } from "./store.ts";

/** A ticking room whose object was evicted is woken after so long, in ms, at the latest twice that. */
export const watchdog = 30_000;

/**
 * The object's one alarm, shared by everything that has to happen later: the room's alarm, the
 * outbox, credentials that end, the watchdog of ticks. It is written only when it changes,
 * because each write counts as a row.
 */
export class Schedule {
  readonly #store: Store;
  #armed = 0;
  /** When the outbox is tried again, or 0. */
  outbox = 0;
  /** When the presence objects are told again, or 0. */
  roll = 0;
  /** When the presence objects are asked for watched users again, or the room is told of them again, or 0. */
  watch = 0;
  /** When the watchdog of a ticking room is due, or 0. */
  tick = 0;
  /** When a room that did not start is tried again, or 0. */
  retry = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The alarm has rung: nothing is set any more. */
  rang(): void {
    this.#armed = 0;
  }

  /** The object has woken: what was due when it went to sleep is set still. */
  assume(state: RoomState, expires: number): void {
    this.#armed = this.#next(state, expires);
  }

  /** Sets the alarm to the earliest of what is due. `expires` is when the next credential ends, or 0. */
  arm(state: RoomState, expires: number): void {
    const next = this.#next(state, expires);
    if (next === this.#armed) return;
    this.#armed = next;
    this.#store.setAlarm(next);
  }

  #next(state: RoomState, expires: number): number {
    const room = state.due === 0 ? 0 : Math.max(state.due, this.retry);
    const times = [room, this.outbox, this.roll, this.watch, this.tick, expires].filter((t) => t > 0);
    return times.length === 0 ? 0 : Math.min(...times);
  }
}
