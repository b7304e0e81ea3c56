/** Time, as the client sees it; tests hand in their own. */
export interface Clock {
  /** Milliseconds since 1970. It should not jump, so it is not the wall clock by default. */
  now(): number;
  /** Calls `callback` once, `ms` from now. */
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The longest delay that setTimeout takes. */
export const maxDelay = 0x7fff_ffff;

/** The clock of the platform. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, Math.min(ms, maxDelay)),
  clearTimeout: (timer) => clearTimeout(timer as number),
};
