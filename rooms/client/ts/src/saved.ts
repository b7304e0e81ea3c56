import type { Place } from "./message.ts";
import type { SessionStorage } from "./options.ts";

/** What is needed to go on with a session. */
export interface Saved {
  readonly session: string;
  readonly place: Place | undefined;
}

/**
 * Takes what was kept under a key, so that nobody else goes on with it. A storage that fails
 * (a browser may forbid it) or holds something else counts as empty.
 */
export function takeSaved(storage: SessionStorage, key: string): Saved | undefined {
  try {
    const text = storage.getItem(key);
    if (text === null) return undefined;
    storage.removeItem(key);
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return undefined;
    const [session, incarnation, offset] = value as unknown[];
    if (typeof session !== "string") return undefined;
    const known = typeof incarnation === "string" && Number.isSafeInteger(offset);
    return { session, place: known ? { incarnation, offset: offset as number } : undefined };
  } catch {
    return undefined;
  }
}

/** Keeps a session under a key. */
export function save(storage: SessionStorage, key: string, saved: Saved): void {
  const { session, place } = saved;
  try {
    storage.setItem(
      key,
      JSON.stringify(place ? [session, place.incarnation, place.offset] : [session]),
    );
  } catch {
    // Full or forbidden: the next page begins a new session, which is always right.
  }
}
