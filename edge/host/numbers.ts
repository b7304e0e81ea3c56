import type { RoomState, Store } from "./store.ts";

/** Numbers are taken from storage in blocks, so that most connects write nothing. */
const block = 1024;

/** Rising numbers for a room's connections, requests and notices: none is ever used twice. */
export class Numbers {
  readonly #state: RoomState;
  readonly #store: Store;
  #next: number;

  constructor(state: RoomState, store: Store) {
    this.#state = state;
    this.#store = store;
    this.#next = state.next;
  }

  /** The number that comes next. */
  get upcoming(): number {
    return this.#next;
  }

  take(): number {
    if (this.#next === this.#state.next) {
      this.#state.next += block;
      this.#store.save(this.#state);
    }
    return this.#next++;
  }
}
