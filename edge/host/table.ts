import { limits } from "./abi.gen.ts";
import type { Connection } from "./connection.ts";
import type { BroadcastEffect, CloseEffect, DeliverEffect } from "./effect.ts";
import type { CloseEvent } from "./event.ts";
import type { Turn } from "./turn.ts";
import { Users } from "./users.ts";
import { byteLength } from "./wire.ts";

/** A connection of the room, as its turns left it. */
export interface Member {
  connection: Connection;
  /** The room has closed it, and has not heard its close event yet. */
  closing: CloseEffect | undefined;
  /** The turn in delivery has not come to its join effect. */
  waiting: boolean;
}

/** Keeps a start event within a batch, with room for the events behind it. */
export const maxTable = limits.maxBatch / 2;

/** About the bytes that a connection takes in a start event. */
export function memberSize(c: Connection): number {
  let n = 48 + byteLength(c.user) + c.claims.length + byteLength(c.protocol) + c.attachment.length;
  for (const tag of c.tags) n += 2 + byteLength(tag);
  return n;
}

export function closeEvent(e: CloseEffect): CloseEvent {
  return { type: "close", connection: e.connection, code: e.code, reason: e.reason, clean: true };
}

/** A room's connections, in the order of joining: what the next start event says. */
export class Table {
  /** The users of the connections that the room has not closed. */
  readonly users = new Users();
  readonly #members = new Map<bigint, Member>();
  #size = 0;

  get length(): number {
    return this.#members.size;
  }

  get(id: bigint): Member | undefined {
    return this.#members.get(id);
  }

  /** Reports whether the table has a connection that the room has not closed. */
  has(id: bigint): boolean {
    const m = this.#members.get(id);
    return m !== undefined && m.closing === undefined;
  }

  members(): Iterable<Member> {
    return this.#members.values();
  }

  /** The connections that the room has not closed. */
  connections(): Connection[] {
    const out: Connection[] = [];
    for (const m of this.#members.values()) if (m.closing === undefined) out.push({ ...m.connection });
    return out;
  }

  add(c: Connection, closing?: CloseEffect): void {
    if (this.#members.has(c.id)) return;
    this.#members.set(c.id, { connection: { ...c }, closing, waiting: false });
    if (closing === undefined) this.users.join(c.user, c.since);
    this.#size += memberSize(c);
  }

  remove(id: bigint): void {
    const m = this.#members.get(id);
    if (m === undefined) return;
    this.#members.delete(id);
    if (m.closing === undefined) this.users.leave(m.connection.user);
    this.#size -= memberSize(m.connection);
  }

  /** Reports whether so many bytes more can still be told in one start event. */
  fits(more: number): boolean {
    return this.#size + more <= maxTable;
  }

  /** Applies an effect on a connection; other effects do nothing. */
  apply(e: DeliverEffect): void {
    switch (e.type) {
      case "attach":
      case "tags": {
        const m = this.#members.get(e.connection);
        if (m === undefined) return;
        this.#size -= memberSize(m.connection);
        if (e.type === "attach") m.connection.attachment = e.data.slice();
        else m.connection.tags = e.tags;
        this.#size += memberSize(m.connection);
        return;
      }
      case "mute": {
        const m = this.#members.get(e.connection);
        if (m !== undefined) m.connection.muted = e.muted;
        return;
      }
      case "close": {
        const m = this.#members.get(e.connection);
        if (m === undefined) return;
        if (m.closing === undefined) this.users.leave(m.connection.user);
        m.closing = e;
        return;
      }
      case "join": {
        const m = this.#members.get(e.connection);
        if (m !== undefined) m.waiting = false;
        return;
      }
    }
  }

  /**
   * Takes a turn in: connections of its connect events come, those of its close events go, then
   * each effect is handed to `effect` and applied, in order, so that `effect` finds the
   * table as it is at the effect's place.
   */
  deliver(turn: Turn, effect: (e: DeliverEffect) => void): void {
    for (const e of turn.events) {
      if (e.type === "connect") this.add(e.connection);
      else if (e.type === "close") this.remove(e.connection);
    }
    for (const e of turn.effects) {
      if (e.type !== "join") continue;
      const m = this.#members.get(e.connection);
      if (m !== undefined) m.waiting = true;
    }
    for (const e of turn.effects) {
      effect(e);
      this.apply(e);
    }
  }

  /** The close events of all connections that the room has closed and not heard the end of. */
  closing(): CloseEvent[] {
    const out: CloseEvent[] = [];
    for (const m of this.#members.values()) if (m.closing !== undefined) out.push(closeEvent(m.closing));
    return out;
  }

  /** Yields the connections that a broadcast goes to. */
  *recipients(b: BroadcastEffect): Generator<bigint> {
    const except = b.except.length > 0 ? new Set(b.except) : undefined;
    for (const [id, m] of this.#members) {
      const c = m.connection;
      if (m.closing !== undefined || m.waiting || c.muted) continue;
      if (b.protocol !== "" && c.protocol !== b.protocol) continue;
      if (b.tag !== "" && !c.tags.includes(b.tag)) continue;
      if (except?.has(id)) continue;
      yield id;
    }
  }
}
