import type { DeliverEffect, Effect, TellEffect, WriteEffect } from "./effect.ts";
import type { RoomEvent } from "./event.ts";

/** A turn that succeeded, or a decision that the host took in the room's place. */
export interface Turn {
  /** The turn's clock, milliseconds since 1970. */
  time: number;
  /** The host decided without the room; never durable. */
  decision: boolean;
  events: RoomEvent[];
  /** What is delivered, in the room's order. */
  effects: DeliverEffect[];
  /** Puts and deletes, in order. */
  writes: WriteEffect[];
  /** Messages to other rooms: rows of the commit. */
  tells: TellEffect[];
  /** The new time of the alarm, 0 for none; undefined if it stays. */
  alarm?: number;
}

export function newTurn(time: number, events: RoomEvent[]): Turn {
  return { time, decision: false, events, effects: [], writes: [], tells: [] };
}

/** Sorts effects into the turn's fields. */
export function split(t: Turn, effects: readonly Effect[]): void {
  for (const e of effects) {
    switch (e.type) {
      case "put":
      case "delete":
      case "delete_range":
        t.writes.push(e);
        break;
      case "tell":
        t.tells.push(e);
        break;
      case "alarm":
        t.alarm = e.time;
        break;
      default:
        t.effects.push(e);
    }
  }
}

/** Reports whether the turn has anything to commit. */
export function durable(t: Turn): boolean {
  return t.writes.length > 0 || t.tells.length > 0 || t.alarm !== undefined;
}
