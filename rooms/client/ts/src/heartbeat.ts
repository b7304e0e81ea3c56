import type { Clock } from "./clock.ts";

/**
 * Finds dead connections. It asks for a ping when nothing was sent, or nothing was heard, for
 * one interval, and gives up when a ping stays without any answer for another one.
 *
 * It counts from the ping and not from what was heard last, because timers of a page in the
 * background come late: being late is no proof of silence.
 */
export class Heartbeat {
  #interval = 0;
  #sent = 0;
  #heard = 0;
  #deadline = 0; // of the ping that waits for an answer; 0: none does
  #timer: unknown;
  readonly #clock: Clock;
  readonly #ping: () => void;
  readonly #dead: () => void;

  constructor(clock: Clock, ping: () => void, dead: () => void) {
    this.#clock = clock;
    this.#ping = ping;
    this.#dead = dead;
  }

  /** Starts with an interval in milliseconds; 0: the room asks for no heartbeat. */
  start(interval: number): void {
    this.stop();
    this.#interval = interval;
    this.#sent = this.#heard = this.#clock.now();
    this.#arm();
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#interval = this.#deadline = 0;
  }

  sent(): void {
    this.#sent = this.#clock.now();
  }

  heard(): void {
    this.#heard = this.#clock.now();
    this.#deadline = 0;
  }

  /** Asks now, and gives up after `within` ms, for a moment in which the network may have changed. */
  probe(within: number): void {
    if (!this.#interval) return;
    if (!this.#deadline) this.#ping();
    const deadline = this.#clock.now() + Math.min(within, this.#interval);
    this.#deadline = this.#deadline ? Math.min(this.#deadline, deadline) : deadline;
    this.#arm();
  }

  #arm(): void {
    if (!this.#interval) return;
    const due = Math.min(
      this.#sent + this.#interval,
      this.#deadline || this.#heard + this.#interval,
    );
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => this.#tick(), Math.max(0, due - this.#clock.now()));
  }

  #tick(): void {
    const now = this.#clock.now();
    if (this.#deadline && now >= this.#deadline) {
      this.stop();
      this.#dead();
      return;
    }
    const late = Math.max(now - this.#sent, this.#deadline ? 0 : now - this.#heard);
    if (late >= this.#interval) {
      this.#deadline ||= now + this.#interval;
      this.#ping();
    }
    this.#arm();
  }
}
