/** How long to wait between two attempts to connect, in milliseconds. */
export interface BackoffOptions {
  /** Upper bound of the first delay; it doubles with each attempt. Default 500. */
  readonly base?: number | undefined;
  /** Upper bound of all delays. Default 30,000. */
  readonly max?: number | undefined;
  /** A connection that lived for so long starts the count anew. Default 10,000. */
  readonly stable?: number | undefined;
}

/**
 * Exponential back-off with full jitter: a random part of min(max, base * 2^attempt), so that
 * many clients that lost one server do not come back in step. What the server suggests is a
 * lower bound.
 */
export class Backoff {
  readonly stable: number;
  attempt = 0;
  readonly #base: number;
  readonly #max: number;
  readonly #random: () => number;

  constructor(options: BackoffOptions, random: () => number) {
    this.#base = options.base ?? 500;
    this.#max = options.max ?? 30_000;
    this.stable = options.stable ?? 10_000;
    this.#random = random;
  }

  /** The next delay, at least `hint`. */
  next(hint = 0): number {
    const bound = Math.min(this.#max, this.#base * 2 ** Math.min(this.attempt++, 30));
    return hint + Math.round(this.#random() * bound);
  }
}
