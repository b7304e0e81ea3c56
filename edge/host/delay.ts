// How long what failed waits until it is tried again.

/** How often an alarm that traps is tried, as Durable Objects do. */
export const maxAlarmAttempts = 6;

/** How long a failed alarm waits for its next attempt, in ms. */
export function alarmDelay(attempt: number): number {
  return 2000 * 2 ** attempt;
}

/** How long a room that does not run is left alone, in ms, by the number of failures in a row. */
export function backOff(failures: number): number {
  return Math.min(1000 * 2 ** Math.min(failures - 1, 6), 60_000);
}

/** How long the outbox waits after a failure, in ms, by the number of failures in a row. */
export function outboxDelay(failures: number): number {
  return Math.min(100 * 2 ** Math.min(failures, 9), 60_000);
}
