// What one object would cost, counted while it runs on a developer's machine: nothing of it is
// there in a deployment. An account outlives its object's memory, as globals of an isolate do.

/** An object without work hibernates after so long, in ms, if nothing keeps it awake. */
export const linger = 10_000;

/** What an object has to do, or what keeps it awake between events. */
export type Reason = "event" | "request" | "alarm" | "credential" | "hello" | "ticks" | "telling";

/** Something that counts rows, for as long as one life of an object. */
export interface Meter {
  readonly rowsWritten: number;
}

export class Account {
  /** How often the object was constructed: once, and at each wake after it was put to sleep. */
  lives = 0;
  requests = 0;
  messages = 0;
  alarms = 0;
  #rows = 0;
  #meter: Meter | undefined;
  #awake = 0;
  #active = 0;
  #since: number | undefined;
  #idle = 0;
  #busy = 0;
  readonly #holds = new Map<Reason, number>();

  /** The object has woken; nothing of its last life keeps it awake. */
  woke(meter: Meter, now = Date.now()): void {
    this.#sleep(this.#holds.size > 0 ? this.#idle : Math.min(now, this.#idle + linger));
    this.#holds.clear();
    this.lives++;
    this.#rows += this.#meter?.rowsWritten ?? 0;
    this.#meter = meter;
    this.#idle = now;
  }

  /** Notes that the object is at work, or kept awake, until the returned function is called. */
  hold(reason: Reason, now = Date.now()): () => undefined {
    if (this.state(now) === "hibernated") this.#sleep(this.#idle + linger);
    this.#since ??= now;
    if (this.#holds.size === 0) this.#busy = now;
    this.#holds.set(reason, (this.#holds.get(reason) ?? 0) + 1);
    this.#idle = now;
    const life = this.lives;
    let held = true;
    return () => {
      if (held && life === this.lives) this.#release(reason, Date.now());
      held = false;
      return undefined;
    };
  }

  #release(reason: Reason, now: number): void {
    const left = (this.#holds.get(reason) ?? 1) - 1;
    if (left > 0) this.#holds.set(reason, left);
    else this.#holds.delete(reason);
    this.#idle = now;
    if (this.#holds.size === 0) this.#active += now - this.#busy;
  }

  #sleep(at: number): void {
    if (this.#since !== undefined) this.#awake += Math.max(0, at - this.#since);
    this.#since = undefined;
  }

  /** Hibernated: without work for 10 s, with nothing that keeps it awake. */
  state(now = Date.now()): "awake" | "hibernated" {
    return this.#holds.size > 0 || (this.#since !== undefined && now < this.#idle + linger) ? "awake" : "hibernated";
  }

  /** What keeps the object awake, and how many of it. */
  reasons(): [Reason, number][] {
    return [...this.#holds];
  }

  /** How long it has been without work, in ms. */
  idle(now = Date.now()): number {
    return this.#holds.size > 0 ? 0 : now - this.#idle;
  }

  get rows(): number {
    return this.#rows + (this.#meter?.rowsWritten ?? 0);
  }

  /** How long it was in memory, in ms, with the 10 s before each hibernation: the most that can be billed. */
  awake(now = Date.now()): number {
    if (this.#since === undefined) return this.#awake;
    const end = this.#holds.size > 0 ? now : Math.min(now, this.#idle + linger);
    return this.#awake + end - this.#since;
  }

  /** How long it was at work or kept awake, in ms. */
  active(now = Date.now()): number {
    return this.#active + (this.#holds.size > 0 ? now - this.#busy : 0);
  }
}
