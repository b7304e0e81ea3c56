import { limits } from "./abi.gen.ts";
import { eventBytes, type RejectedEvent, type RoomEvent } from "./event.ts";

/** Bounds the rejections of one turn. */
export const maxOwed = 128;
/** Bounds the bytes of the rejections of one turn. */
export const maxOwedTurn = limits.maxBatch / 4;
/** Bounds the bytes of all; beyond it the sender of an event hears nothing. */
const maxOwedBytes = 8 << 20;

const sizeOf = (e: RejectedEvent) => 16 + e.event.length;

/** Rejections that a room has not heard of yet, oldest first. It hears of them before anything else. */
export class Owed {
  #list: RejectedEvent[] = [];
  #bytes = 0;

  get length(): number {
    return this.#list.length;
  }

  /** Owes the room an event that did not happen. */
  add(e: RoomEvent, code: number): void {
    const r: RejectedEvent = { type: "rejected", code, event: eventBytes(e) };
    const n = sizeOf(r);
    if (this.#bytes + n > maxOwedBytes) return;
    this.#list.push(r);
    this.#bytes += n;
  }

  /** Removes what the next turn tells. */
  take(): RejectedEvent[] {
    let n = 0;
    let size = 0;
    for (const e of this.#list) {
      size += sizeOf(e);
      if (n === maxOwed || (n > 0 && size > maxOwedTurn)) break;
      n++;
    }
    const taken = this.#list.splice(0, n);
    for (const e of taken) this.#bytes -= sizeOf(e);
    return taken;
  }

  /** Puts back what was taken. */
  restore(taken: readonly RejectedEvent[]): void {
    for (const e of taken) this.#bytes += sizeOf(e);
    this.#list = [...taken, ...this.#list];
  }
}
