// Whom the room watches, and what the presence objects said of them. A row for each user is both: the record,
// from which a room that starts is answered without asking anybody, and the outbox until it was heard.

import type { WatchEffect } from "./effect.ts";
import type { UserState } from "./event.ts";
import { shardOf } from "./notice.ts";
import type { Service } from "./service.ts";
import type { Store } from "./store.ts";
import type { Turn } from "./turn.ts";

/** How many users one presence object is told of at once. */
const batch = 256;

/** A table of store.ts. `told` is 1 once the presence object has heard of the row; `online` counts then. */
export const watchSchema = `
CREATE TABLE IF NOT EXISTS oriel_watch (
  user TEXT PRIMARY KEY, active INTEGER NOT NULL, told INTEGER NOT NULL, online INTEGER NOT NULL
) WITHOUT ROWID;`;

interface Row {
  /** The room watches the user; else the presence object has to hear that it does not. */
  active: boolean;
  told: boolean;
  online: boolean;
}

export class Watches {
  readonly #store: Store;
  readonly #rows = new Map<string, Row>();
  /** Those of #rows that are not told. */
  readonly #waiting = new Map<string, Row>();
  /** What the room has to hear: the newest state of each. */
  #due = new Map<string, boolean>();
  #telling = false;

  /** Takes up where an earlier life left off. */
  constructor(store: Store) {
    this.#store = store;
    for (const row of store.read("SELECT * FROM oriel_watch"))
      this.#set(String(row.user), { active: row.active === 1, told: row.told === 1, online: row.online === 1 });
  }

  #set(user: string, row: Row): void {
    this.#rows.set(user, row);
    if (row.told) this.#waiting.delete(user);
    else this.#waiting.set(user, row);
  }

  /**
   * Writes down what a turn has changed. Called without an await behind the turn's own rows, the platform
   * commits both or neither. A start asks for everybody anew, and forgets the others.
   */
  take(turn: Turn): void {
    const starts = turn.events[0]?.type === "start" && this.#rows.size > 0;
    if (!starts && !turn.effects.some((e) => e.type === "watch")) return;
    const effects = turn.effects.filter((e): e is WatchEffect => e.type === "watch");
    const wanted = new Map<string, boolean>();
    if (starts) {
      this.#due.clear();
      for (const [user, row] of this.#rows) if (row.active) wanted.set(user, false);
    }
    for (const e of effects) wanted.set(e.user, e.on);
    for (const [user, on] of wanted) {
      const row = this.#rows.get(user);
      if (on && row?.active) {
        if (row.told) this.#due.set(user, row.online);
      } else if (on || row?.active) {
        this.#due.delete(user);
        this.#put(user, { active: on, told: false, online: false });
      }
    }
  }

  #put(user: string, row: Row): void {
    this.#set(user, row);
    const { active, told, online } = row;
    this.#store.write(
      "INSERT OR REPLACE INTO oriel_watch VALUES (?, ?, ?, ?)",
      user,
      Number(active),
      Number(told),
      Number(online),
    );
  }

  #drop(user: string): void {
    this.#rows.delete(user);
    this.#waiting.delete(user);
    this.#store.write("DELETE FROM oriel_watch WHERE user = ?", user);
  }

  /** Takes in what a presence object says; returns the users whom the room does not watch. */
  hear(users: readonly UserState[]): string[] {
    const strangers: string[] = [];
    for (const { user, online } of users) {
      const row = this.#rows.get(user);
      if (!row?.active) {
        strangers.push(user);
        continue;
      }
      if (!row.told || row.online !== online) this.#put(user, { active: true, told: true, online });
      this.#due.set(user, online);
    }
    return strangers;
  }

  /** What the room has to hear now. */
  takeDue(): UserState[] {
    if (this.#due.size === 0) return [];
    const due = [...this.#due].map(([user, online]) => ({ user, online }));
    this.#due = new Map();
    return due;
  }

  /** The room did not take what it was told. Newer words stand. */
  putBack(users: readonly UserState[]): void {
    for (const { user, online } of users)
      if (!this.#due.has(user) && this.#rows.get(user)?.active) this.#due.set(user, online);
  }

  /** The room watches somebody, or did. */
  get some(): boolean {
    return this.#rows.size > 0;
  }

  /** Something waits to be told, and nothing is under way. */
  get ready(): boolean {
    return !this.#telling && this.#waiting.size > 0;
  }

  /** Tells the presence objects what waits. Returns false if something was not heard. */
  async tell(service: Service, kind: string, room: string): Promise<boolean> {
    this.#telling = true;
    try {
      const byShard = new Map<number, [string, Row][]>();
      for (const [user, row] of [...this.#waiting].slice(0, batch)) {
        const shard = shardOf(user);
        byShard.set(shard, [...(byShard.get(shard) ?? []), [user, row]]);
      }
      const heard = await Promise.all(
        [...byShard].map(async ([shard, rows]) => {
          const names = (active: boolean) => rows.filter(([, row]) => row.active === active).map(([user]) => user);
          const object = service.presence(shard);
          const on = names(true);
          // Without presence objects nobody is seen online.
          const states =
            object === undefined ? new Map<string, boolean>() : await object.watch(kind, room, on, names(false));
          if (states === undefined) return false;
          for (const [user, row] of rows)
            if (this.#rows.get(user) === row) this.#heard(user, row, states.get(user) ?? false);
          return true;
        }),
      );
      return heard.every((ok) => ok);
    } catch {
      return false; // the object was reset, or the platform has too much to do
    } finally {
      this.#telling = false;
    }
  }

  #heard(user: string, row: Row, online: boolean): void {
    if (!row.active) {
      this.#drop(user);
      return;
    }
    this.#put(user, { active: true, told: true, online });
    this.#due.set(user, online);
  }
}
