import type { RoomEvent } from "./event.ts";

/** Bounds the memory; the oldest goes first. */
const maxCulprits = 16;

/**
 * Remembers the messages of other rooms that this room failed on: they are delivered at least once,
 * so without it the loop would begin again at each restart. The sender's name and number
 * name a message.
 */
export class Culprits {
  readonly #list: string[];

  constructor(list: readonly string[] = []) {
    this.#list = list.slice(-maxCulprits);
  }

  has(e: RoomEvent): boolean {
    return e.type === "told" && this.#list.includes(name(e.fromKind, e.fromRoom, e.id));
  }

  add(e: RoomEvent): void {
    if (e.type !== "told") return;
    if (this.#list.length === maxCulprits) this.#list.shift();
    this.#list.push(name(e.fromKind, e.fromRoom, e.id));
  }

  /** The names, oldest first, for the host to keep. */
  list(): string[] {
    return [...this.#list];
  }
}

const name = (kind: string, room: string, id: bigint) => `${kind}/${room}/${id}`;
