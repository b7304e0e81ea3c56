/** One connection of a user, as its room says it. */
export interface Device {
  /** The connection. */
  id: bigint;
  /** What the client calls what it runs on, or empty: a device of its own. */
  device: string;
  /** When it came, milliseconds since 1970. */
  since: number;
}

/** Bounds {@link Device.device}; what is longer is cut. Package presence has the same. */
const maxDevice = 64;
/** Bounds the devices that one notification goes to. Package scheduler has the same. */
export const maxReached = 100;

/** What a client's query calls its device. */
export function deviceOf(query: string): string {
  return (new URLSearchParams(query).get("device") ?? "").slice(0, maxDevice);
}

/** The newest connection of each device, the newest first, at most {@link maxReached}. */
export function newest<T extends Device>(all: readonly T[]): T[] {
  const seen = new Set<string>();
  return [...all]
    .sort((a, b) => b.since - a.since || (a.id < b.id ? 1 : -1))
    .filter(({ device }) => {
      const again = device !== "" && seen.has(device);
      seen.add(device);
      return !again;
    })
    .slice(0, maxReached);
}
