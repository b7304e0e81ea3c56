// The room's rows in the object's SQLite database. Keys are BLOBs, which SQLite compares as memcmp
// does, so the order is that of the ABI; WITHOUT ROWID, because a put then counts as one
// row written, not two.

import { limits } from "./abi.gen.ts";
import type { TellEffect, WriteEffect } from "./effect.ts";
import type { Storage } from "./guest.ts";
import type { Entry, ListRequest, ListResponse } from "./list.ts";
import { rollSchema } from "./roll.ts";
import { durable, type Turn } from "./turn.ts";
import { watchSchema } from "./watches.ts";

/** What the host keeps beside the room's rows; one row. */
export interface RoomState {
  kind: string;
  name: string;
  /** The incarnation: given at the room's first use, and again after its storage was set back. */
  term: string;
  /** The last committed turn's time. */
  time: number;
  /** The number of durable turns. */
  commits: number;
  /** The alarm's time, or 0. */
  alarm: number;
  /** When the alarm is due: `alarm`, or later after a failed attempt; 0 if there is none or it is parked. */
  due: number;
  attempt: number;
  /** The next unused connection number. */
  next: number;
  /** The room ticks, so it is woken if its object was evicted. */
  ticking: boolean;
  culprits: string[];
}

/** A message to another room that waits to be told. */
export interface Tell {
  id: number;
  tell: TellEffect;
}

/** The tells of one turn are numbered after its commit number. */
const tellsPerTurn = 1 << 16;

const schema = `
CREATE TABLE IF NOT EXISTS oriel_rows (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS oriel_outbox (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, room TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS oriel_state (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  version INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, term TEXT NOT NULL,
  time INTEGER NOT NULL, commits INTEGER NOT NULL,
  alarm INTEGER NOT NULL, due INTEGER NOT NULL, attempt INTEGER NOT NULL,
  next INTEGER NOT NULL, ticking INTEGER NOT NULL, culprits TEXT NOT NULL
);${rollSchema}${watchSchema}`;

/** The version of the tables; a host refuses those of a newer one. 2 has oriel_roll, 3 oriel_watch. */
const version = 3;

export class Store implements Storage {
  readonly #storage: DurableObjectStorage;
  /** Rows written since the object woke, as the bill counts them. */
  rowsWritten = 0;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** The host's row; undefined for an object that never was a room. */
  load(): RoomState | undefined {
    const sql = this.#storage.sql;
    const tables = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'oriel_state'").toArray();
    if (tables.length === 0) return undefined;
    const row = sql.exec("SELECT * FROM oriel_state WHERE one = 1").toArray()[0];
    if (row === undefined) return undefined;
    if (Number(row.version) > version)
      throw new Error(`the tables are of version ${row.version}; this host knows ${version}`);
    if (Number(row.version) < 2) this.write(rollSchema);
    if (Number(row.version) < 3) this.write(watchSchema);
    return {
      kind: String(row.kind),
      name: String(row.name),
      term: String(row.term),
      time: Number(row.time),
      commits: Number(row.commits),
      alarm: Number(row.alarm),
      due: Number(row.due),
      attempt: Number(row.attempt),
      next: Number(row.next),
      ticking: row.ticking === 1,
      culprits: JSON.parse(String(row.culprits)) as string[],
    };
  }

  /** Makes the tables of a new room. */
  create(kind: string, name: string, term: string): RoomState {
    this.write(schema);
    const s = {
      kind,
      name,
      term,
      time: 0,
      commits: 0,
      alarm: 0,
      due: 0,
      attempt: 0,
      next: 1,
      ticking: false,
      culprits: [],
    };
    this.save(s);
    return s;
  }

  /** Writes the host's row. */
  save(s: RoomState): void {
    this.write(
      "INSERT OR REPLACE INTO oriel_state VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      version,
      s.kind,
      s.name,
      s.term,
      s.time,
      s.commits,
      s.alarm,
      s.due,
      s.attempt,
      s.next,
      s.ticking ? 1 : 0,
      JSON.stringify(s.culprits),
    );
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const row = this.#storage.sql.exec("SELECT value FROM oriel_rows WHERE key = ?", key).toArray()[0];
    return row === undefined ? undefined : blob(row.value);
  }

  list(q: ListRequest): ListResponse {
    const order = q.reverse ? "DESC" : "ASC";
    const where = q.end.length > 0 ? "key >= ?1 AND key < ?2" : "key >= ?1";
    const bindings = q.end.length > 0 ? [q.start, q.end] : [q.start];
    const cursor = this.#storage.sql.exec(
      `SELECT key, value FROM oriel_rows WHERE ${where} ORDER BY key ${order} LIMIT ${q.limit + 1}`,
      ...bindings,
    );
    const entries: Entry[] = [];
    let size = 0;
    for (const row of cursor) {
      const entry = { key: blob(row.key), value: blob(row.value) };
      size += entry.key.length + entry.value.length;
      if (entries.length === q.limit || (entries.length > 0 && size > limits.maxListBytes))
        return { entries, more: true };
      entries.push(entry);
    }
    return { entries, more: false };
  }

  /** Commits a turn: its rows, its tells and its alarm, all or nothing. */
  commit(turn: Turn, state: RoomState): Tell[] {
    if (!durable(turn)) return [];
    const next: RoomState = { ...state, time: turn.time, commits: state.commits + 1 };
    if (turn.alarm !== undefined) next.alarm = next.due = turn.alarm;
    if (turn.alarm !== undefined) next.attempt = 0;
    const tells = turn.tells.map((tell, i) => ({ id: next.commits * tellsPerTurn + i, tell }));
    this.#storage.transactionSync(() => {
      for (const w of turn.writes) this.#write(w);
      for (const { id, tell } of tells)
        this.write("INSERT INTO oriel_outbox VALUES (?, ?, ?, ?)", id, tell.kind, tell.room, tell.data);
      this.save(next);
    });
    Object.assign(state, next);
    return tells;
  }

  #write(w: WriteEffect): void {
    switch (w.type) {
      case "put":
        this.write("INSERT OR REPLACE INTO oriel_rows VALUES (?, ?)", w.key, w.value);
        return;
      case "delete":
        this.write("DELETE FROM oriel_rows WHERE key = ?", w.key);
        return;
      case "delete_range":
        if (w.end.length > 0) this.write("DELETE FROM oriel_rows WHERE key >= ? AND key < ?", w.start, w.end);
        else this.write("DELETE FROM oriel_rows WHERE key >= ?", w.start);
        return;
    }
  }

  /** The oldest tells that wait. */
  outbox(limit: number): Tell[] {
    const rows = this.#storage.sql.exec("SELECT * FROM oriel_outbox ORDER BY id LIMIT ?", limit).toArray();
    return rows.map((row) => ({
      id: Number(row.id),
      tell: { type: "tell", kind: String(row.kind), room: String(row.room), data: blob(row.data) },
    }));
  }

  /** Removes tells that were heard. */
  told(ids: readonly number[]): void {
    for (const id of ids) this.write("DELETE FROM oriel_outbox WHERE id = ?", id);
  }

  /** Sets the object's alarm, which counts as a row; 0 clears it. */
  setAlarm(time: number): void {
    if (time !== 0) this.rowsWritten++;
    // Not awaited: the output gate covers it, and a failed write resets the object.
    const write = time === 0 ? this.#storage.deleteAlarm() : this.#storage.setAlarm(time);
    write.catch(() => undefined);
  }

  /** Reads the host's own rows. */
  read(query: string, ...bindings: (string | number)[]): Record<string, SqlStorageValue>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray();
  }

  /** Writes the host's own rows. */
  write(query: string, ...bindings: (string | number | Uint8Array)[]): void {
    const cursor = this.#storage.sql.exec(query, ...bindings);
    this.rowsWritten += cursor.rowsWritten;
  }
}

function blob(v: unknown): Uint8Array {
  if (v instanceof ArrayBuffer) return new Uint8Array(v);
  throw new Error("a column is not a BLOB");
}
