// The rows of one presence object that say which rooms watch its users, and what each was last told.

import type { UserState } from "./event.ts";
import type { Place, Register } from "./register.ts";

/** Bounds the rooms that watch one user: one change is told to all of them. */
export const maxWatchers = 1000;
/** How long a user who has gone may come back before watching rooms are told, in ms. */
export const grace = 10_000;

/** `online` is what the room has heard; `due` is when it hears otherwise, or 0. */
const schema = `
CREATE TABLE IF NOT EXISTS oriel_watcher (
  user TEXT NOT NULL, kind TEXT NOT NULL, room TEXT NOT NULL, online INTEGER NOT NULL, due INTEGER NOT NULL,
  PRIMARY KEY (user, kind, room)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS oriel_watcher_due ON oriel_watcher (due) WHERE due > 0;`;

const one = "user = ? AND kind = ? AND room = ?";

/** A room and what it has to hear. */
export interface Word extends Place {
  users: UserState[];
}

export class Watchers {
  readonly #register: Register;

  constructor(register: Register) {
    this.#register = register;
    register.write(schema);
  }

  /**
   * A room watches users, and others no more. Returns who of the former is online, without those whom too many
   * rooms watch.
   */
  change({ kind, room }: Place, on: readonly string[], off: readonly string[]): Map<string, boolean> {
    const states = new Map<string, boolean>();
    for (const user of off) this.#register.write(`DELETE FROM oriel_watcher WHERE ${one}`, user, kind, room);
    for (const user of on) {
      const [own] = this.#register.read(`SELECT 1 FROM oriel_watcher WHERE ${one}`, user, kind, room);
      const [all] = this.#register.read("SELECT COUNT(*) AS n FROM oriel_watcher WHERE user = ?", user);
      if (own === undefined && Number(all?.n) >= maxWatchers) continue;
      const online = this.#register.online(user);
      this.#register.write(
        "INSERT OR REPLACE INTO oriel_watcher VALUES (?, ?, ?, ?, 0)",
        user,
        kind,
        room,
        Number(online),
      );
      states.set(user, online);
    }
    return states;
  }

  /** A user may have come or gone: who has come is told at once, who has gone a while later. */
  changed(user: string, now: number): void {
    const online = this.#register.online(user);
    const state = Number(online);
    const due = online ? now : now + grace;
    this.#register.write(
      "UPDATE oriel_watcher SET due = ? WHERE user = ? AND online <> ? AND (due = 0 OR due > ?)",
      due,
      user,
      state,
      due,
    );
    this.#register.write("UPDATE oriel_watcher SET due = 0 WHERE user = ? AND online = ? AND due <> 0", user, state);
  }

  /** When the next room has to hear something; 0 if none has. */
  next(): number {
    const [row] = this.#register.read("SELECT MIN(due) AS due FROM oriel_watcher WHERE due > 0");
    return Number(row?.due ?? 0);
  }

  /** What rooms have to hear now, from at most so many rows. */
  due(now: number, rows: number): Word[] {
    const words = new Map<string, Word>();
    for (const r of this.#register.read(
      "SELECT user, kind, room, online FROM oriel_watcher WHERE due > 0 AND due <= ? LIMIT ?",
      now,
      rows,
    )) {
      const place = { kind: String(r.kind), room: String(r.room) };
      const key = `${place.kind}/${place.room}`;
      const word = words.get(key) ?? { ...place, users: [] };
      word.users.push({ user: String(r.user), online: r.online === 0 });
      words.set(key, word);
    }
    return [...words.values()];
  }

  /** A room has heard; it does not watch the strangers. */
  heard({ kind, room, users }: Word, strangers: readonly string[], now: number): void {
    const gone = new Set(strangers);
    for (const { user, online } of users) {
      if (gone.has(user)) {
        this.#register.write(`DELETE FROM oriel_watcher WHERE ${one}`, user, kind, room);
        continue;
      }
      this.#register.write(
        `UPDATE oriel_watcher SET online = ?, due = 0 WHERE ${one}`,
        Number(online),
        user,
        kind,
        room,
      );
      if (this.#register.online(user) !== online) this.changed(user, now); // meanwhile
    }
  }

  /** A room did not answer. */
  later({ kind, room, users }: Word, due: number): void {
    for (const { user } of users)
      this.#register.write(`UPDATE oriel_watcher SET due = ? WHERE ${one} AND due > 0`, due, user, kind, room);
  }
}
