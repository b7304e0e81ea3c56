// Who is in the room, as the presence objects were told, and what they have yet to be told. A row
// for each user is both: the record, and the outbox until it was heard.

import type { Journal } from "./log.ts";
import { type Notice, shardOf } from "./notice.ts";
import type { Numbers } from "./numbers.ts";
import type { Service } from "./service.ts";
import type { Store } from "./store.ts";
import type { Users } from "./users.ts";

/** How many notices are under way at once. */
const batch = 256;

/** A table of store.ts. `told` is 1 once the presence object has heard of the row. */
export const rollSchema = `
CREATE TABLE IF NOT EXISTS oriel_roll (
  user TEXT PRIMARY KEY, number INTEGER NOT NULL, connections INTEGER NOT NULL, since INTEGER NOT NULL, told INTEGER NOT NULL
) WITHOUT ROWID;`;

export class Roll {
  readonly #store: Store;
  readonly #users: Users;
  readonly #numbers: Numbers;
  readonly #journal: Journal;
  readonly #waiting = new Map<string, Notice>();
  #telling = false;

  /** Takes up where an earlier life left off, and corrects what it did not live to tell. */
  constructor(store: Store, users: Users, numbers: Numbers, journal: Journal) {
    this.#store = store;
    this.#users = users;
    this.#numbers = numbers;
    this.#journal = journal;
    users.takeChanged();
    const said = new Map<string, boolean>();
    for (const row of store.read("SELECT * FROM oriel_roll")) {
      const user = String(row.user);
      const connections = Number(row.connections);
      said.set(user, connections > 0);
      if (row.told === 0)
        this.#waiting.set(user, { user, number: Number(row.number), connections, since: Number(row.since) });
    }
    for (const [user, here] of said) this.#note(user, here);
    for (const user of users.names()) if (!said.has(user)) this.#note(user, false);
  }

  /** Something waits to be told, and nothing is under way. */
  get ready(): boolean {
    return this.#waiting.size > 0 && !this.#telling;
  }

  /**
   * Writes down who has come and gone since the last call. Called without an await behind a turn's own
   * rows, the platform commits both or neither.
   */
  note(): void {
    // Who went and came again is told anew: somebody who asked between was told that the user is gone.
    for (const [user, went] of this.#users.takeChanged())
      this.#note(user, went && this.#users.get(user) !== undefined ? false : undefined);
  }

  /** `here` is what was written last, if that is known. */
  #note(user: string, here: boolean | undefined): void {
    const s = this.#users.get(user);
    try {
      if ((here ?? this.#here(user)) === (s !== undefined)) return;
      const notice: Notice = {
        user,
        number: this.#numbers.take(),
        connections: s?.connections ?? 0,
        since: s?.since ?? Date.now(),
      };
      const { number, connections, since } = notice;
      this.#store.write("INSERT OR REPLACE INTO oriel_roll VALUES (?, ?, ?, ?, 0)", user, number, connections, since);
      this.#waiting.set(user, notice);
    } catch (fault) {
      // The next start finds the difference.
      this.#journal.host(8, "a user's coming or going was not written", { error: String(fault) });
    }
  }

  #here(user: string): boolean {
    const [row] = this.#store.read("SELECT connections FROM oriel_roll WHERE user = ?", user);
    return row !== undefined && Number(row.connections) > 0;
  }

  /** Tells the presence objects what waits. Returns false if something was not heard. */
  async tell(service: Service, kind: string, room: string): Promise<boolean> {
    this.#telling = true;
    try {
      const byShard = new Map<number, Notice[]>();
      for (const n of [...this.#waiting.values()].slice(0, batch)) {
        const shard = shardOf(n.user);
        byShard.set(shard, [...(byShard.get(shard) ?? []), n]);
      }
      const heard = await Promise.all(
        [...byShard].map(async ([shard, notices]) => {
          // A new stub for each try: an old one stays broken after an error.
          const ok = await (service.presence(shard)?.told(kind, room, notices) ?? true);
          if (ok) for (const n of notices) this.#heard(n);
          return ok;
        }),
      );
      return heard.every((ok) => ok);
    } catch {
      return false; // the object was reset, or the platform has too much to do
    } finally {
      this.#telling = false;
    }
  }

  #heard({ user, number, connections }: Notice): void {
    if (this.#waiting.get(user)?.number === number) this.#waiting.delete(user);
    if (connections > 0)
      this.#store.write("UPDATE oriel_roll SET told = 1 WHERE user = ? AND number = ?", user, number);
    else this.#store.write("DELETE FROM oriel_roll WHERE user = ? AND number = ?", user, number);
  }
}
