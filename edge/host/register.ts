// The rows of one presence object: which of its users are in which rooms, as the rooms said.

import type { Notice, Present } from "./notice.ts";
import type { UserPresence } from "./service.ts";

/** Bounds the rooms of one answer; the counts in it are of all. Package presence has the same. */
export const maxRooms = 1000;

/** The name of a room. */
export interface Place {
  kind: string;
  room: string;
}

const schema = `
CREATE TABLE IF NOT EXISTS oriel_presence (
  user TEXT NOT NULL, kind TEXT NOT NULL, room TEXT NOT NULL,
  number INTEGER NOT NULL, connections INTEGER NOT NULL, since INTEGER NOT NULL,
  PRIMARY KEY (user, kind, room)
) WITHOUT ROWID;`;

export class Register {
  readonly #sql: SqlStorage;
  /** Rows written since the object woke, as the bill counts them. */
  rowsWritten = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.write(schema);
  }

  /**
   * Takes a notice in, unless a later one is there. A user who is gone keeps a row for a while, with
   * the time of going as `since`, so that a notice that comes twice does not bring them back.
   */
  take({ kind, room }: Place, n: Notice): void {
    this.write(
      `INSERT INTO oriel_presence VALUES (?1, ?2, ?3, ?4, ?5, ?6)
       ON CONFLICT DO UPDATE SET number = ?4, connections = ?5, since = ?6 WHERE number < ?4`,
      n.user,
      kind,
      room,
      n.number,
      n.connections,
      n.since,
    );
  }

  /** Corrects what the register says of users in a room by the room's own answer. Unchanged rows cost nothing. */
  confirm({ kind, room }: Place, users: readonly string[], answer: Present, now: number): void {
    for (const user of users) {
      const s = answer.users.get(user);
      this.write(
        `UPDATE oriel_presence SET connections = ?4, since = ?5
         WHERE user = ?1 AND kind = ?2 AND room = ?3 AND number < ?6
         AND (connections <> ?4 OR (?4 > 0 AND since <> ?5))`,
        user,
        kind,
        room,
        s?.connections ?? 0,
        s?.since ?? now,
        answer.number,
      );
    }
  }

  /** Where a user is. */
  of(user: string): UserPresence {
    const rows = this.#sql
      .exec("SELECT * FROM oriel_presence WHERE user = ? AND connections > 0 ORDER BY kind, room", user)
      .toArray();
    const rooms = rows.map((r) => ({
      kind: String(r.kind),
      room: String(r.room),
      connections: Number(r.connections),
      since: Number(r.since),
    }));
    const connections = rooms.reduce((n, r) => n + r.connections, 0);
    const all = { user, online: connections > 0, connections };
    return rooms.length > maxRooms ? { ...all, rooms: rooms.slice(0, maxRooms), more: true } : { ...all, rooms };
  }

  /** Rooms behind `after` that have users since before `before`. */
  rooms(after: Place, before: number, limit: number): Place[] {
    const rows = this.#sql.exec(
      `SELECT DISTINCT kind, room FROM oriel_presence
       WHERE connections > 0 AND since < ? AND (kind, room) > (?, ?) ORDER BY kind, room LIMIT ?`,
      before,
      after.kind,
      after.room,
      limit,
    );
    return rows.toArray().map((r) => ({ kind: String(r.kind), room: String(r.room) }));
  }

  /** The users who are said to be in a room. */
  users({ kind, room }: Place, limit: number): string[] {
    const rows = this.#sql.exec(
      "SELECT user FROM oriel_presence WHERE kind = ? AND room = ? AND connections > 0 LIMIT ?",
      kind,
      room,
      limit,
    );
    return rows.toArray().map((r) => String(r.user));
  }

  /** Drops the rows of those who went before a time. Reports whether any row is left. */
  forget(before: number): boolean {
    this.write("DELETE FROM oriel_presence WHERE connections = 0 AND since < ?", before);
    return this.#sql.exec("SELECT 1 FROM oriel_presence LIMIT 1").toArray().length > 0;
  }

  /** A user has a connection, as far as is known. */
  online(user: string): boolean {
    return this.read("SELECT 1 FROM oriel_presence WHERE user = ? AND connections > 0 LIMIT 1", user).length > 0;
  }

  read(query: string, ...bindings: (string | number)[]): Record<string, SqlStorageValue>[] {
    return this.#sql.exec(query, ...bindings).toArray();
  }

  write(query: string, ...bindings: (string | number)[]): void {
    this.rowsWritten += this.#sql.exec(query, ...bindings).rowsWritten;
  }
}
