// What all benchmarks share: how figures are taken, and how they are printed.

/** Prints one figure. */
export function print(name: string, value: number, unit: string): void {
  console.log(`${name} ${value.toFixed(Math.abs(value) < 100 ? 2 : 0)} ${unit}`);
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** How long a call took, in ms. */
export async function timed(f: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await f();
  return performance.now() - began;
}

/**
 * Times things that are to be compared, `rounds` times in turn and each time in another order, so that
 * what else the machine does falls on all of them. `warmUp` rounds before that are not counted, in which V8
 * compiles what runs often. Returns the median of each.
 */
export async function compare<K extends string>(
  things: Record<K, (round: number) => Promise<number>>,
  rounds = 300,
  warmUp = 300,
): Promise<Record<K, number>> {
  const names = Object.keys(things) as K[];
  const times = Object.fromEntries(names.map((n) => [n, [] as number[]])) as Record<K, number[]>;
  for (let round = 0; round < warmUp + rounds; round++) {
    for (const [, name] of names.map((n) => [Math.random(), n] as const).sort(([a], [b]) => a - b)) {
      const ms = await things[name](round);
      if (round >= warmUp) times[name].push(ms);
    }
  }
  return Object.fromEntries(names.map((n) => [n, median(times[n])])) as Record<K, number>;
}
