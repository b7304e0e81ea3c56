/** A token bucket; a new one is full. */
export class Bucket {
  #spent = 0;
  #last = 0;

  /** Takes one token. Returns 0, or how many ms it takes until there is one. */
  take(now: number, perSecond: number, burst: number): number {
    if (now > this.#last) {
      this.#spent = Math.max(0, this.#spent - (perSecond * (now - this.#last)) / 1000);
      this.#last = now;
    }
    if (this.#spent + 1 > burst) return Math.ceil(((this.#spent + 1 - burst) / perSecond) * 1000);
    this.#spent++;
    return 0;
  }
}
