import type { ListRequest, ListResponse } from "./list.ts";

/** What a room reads during a turn: its own rows, as its earlier turns left them. */
export interface Storage {
  get(key: Uint8Array): Uint8Array | undefined;
  list(q: ListRequest): ListResponse;
}

/** Runs the turns of one room. */
export interface Guest {
  /**
   * Runs one encoded batch and returns the encoded effects, which belong to the caller. Throws a
   * `Trap` when the turn did not happen: the room's memory is gone then. restored is the number of
   * connections that a start in it lists.
   */
  turn(batch: Uint8Array, storage: Storage, restored: number): Uint8Array;
  /** A handle for the next start: never 0, never used before in the same memory. */
  handle(): bigint;
  /** Reports whether the room's memory is still there; if not, the next batch has to start it. */
  alive(handle: bigint): boolean;
  /** Gives the room's memory back. */
  sleep(): void;
  /** Throws the whole memory away: what it returned shows that something is broken in it. */
  discard(): void;
  /**
   * Moves the room to a memory of its own until it sleeps. Returns false if it has one
   * already. A trap near a limit in a shared memory may be another room's doing.
   */
  isolate(): boolean;
}
