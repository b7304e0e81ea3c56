/** Beats for a room that asked for ticks. A timer keeps the object awake, which is billed. */
export class Ticker {
  readonly #beat: (missed: number) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #interval = 0;
  #next = 0;

  constructor(beat: (missed: number) => void) {
    this.#beat = beat;
  }

  get interval(): number {
    return this.#interval;
  }

  /** Beats every `interval` ms from now on; 0 stops. */
  set(interval: number): void {
    if (interval === this.#interval) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#interval = interval;
    this.#next = Date.now() + interval;
    if (interval > 0) this.#wait();
  }

  #wait(): void {
    this.#timer = setTimeout(
      () => {
        const late = Math.max(0, Date.now() - this.#next);
        const missed = Math.floor(late / this.#interval);
        this.#next += (missed + 1) * this.#interval;
        const interval = this.#interval;
        this.#beat(missed);
        if (this.#interval === interval && this.#timer !== undefined) this.#wait();
      },
      Math.max(0, this.#next - Date.now()),
    );
  }
}
