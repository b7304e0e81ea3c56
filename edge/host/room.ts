// The model of one living room; the same rules as package host (room.go, run.go), on which the
// conformance suite holds both together. It does no I/O of its own.

import { codes } from "./abi.gen.ts";
import { answer, checkEvent, cleanClose, cut, refusal } from "./admit.ts";
import { encodeBatch } from "./batch.ts";
import { closeReason } from "./code.ts";
import type { Connection } from "./connection.ts";
import { Culprits } from "./culprits.ts";
import type { CloseEffect, DeliverEffect, Effect } from "./effect.ts";
import type { CloseEvent, RoomEvent, StartReason } from "./event.ts";
import type { Guest, Storage } from "./guest.ts";
import type { KindOptions } from "./manifest.ts";
import { Owed } from "./owed.ts";
import { closeEvent, memberSize, Table } from "./table.ts";
import { StartError, Trap } from "./trap.ts";
import { newTurn, split, type Turn } from "./turn.ts";
import { validate } from "./validate.ts";
import { Encoder, FieldError } from "./wire.ts";

/** What carries out a room's turns. */
export interface Effects {
  /** Writes what is durable. If it throws, the turn is void and its events did not happen. */
  commit(turn: Turn): void;
  /** Carries out one effect; the table is as it is at the effect's place. */
  deliver(effect: DeliverEffect, table: Table): void;
  /** The turn is complete. */
  done(turn: Turn): void;
}

export interface RoomConfig {
  kind: KindOptions;
  name: string;
  term: string;
  guest: Guest;
  storage: Storage;
  effects: Effects;
  /** The host's clock; turns never go back behind it or behind `time`. */
  now(): number;
  /** Fresh randomness for a turn, 32 bytes. */
  seed(): Uint8Array;
  /** The last committed turn's time. */
  time: number;
  /** The alarm that is set, or 0. */
  alarm: number;
  /** The reason of the first start. */
  reason: StartReason;
  /** The connections that the room has already, with those that it has closed. */
  connections: readonly { connection: Connection; closing?: CloseEffect | undefined }[];
  /** What {@link Room.culprits} said in an earlier life. */
  culprits: readonly string[];
}

/** An event that did not happen and will not. */
export interface Rejection {
  event: RoomEvent;
  trap: Trap;
  /** The room was not even asked. */
  known: boolean;
}

export interface Result {
  rejections: Rejection[];
  /** Why `unrun` did not run: a StartError or a Trap with cause storage. */
  error: StartError | Trap | undefined;
  /** Events that did not happen; they may be run again. */
  unrun: RoomEvent[];
}

type Failure = StartError | Trap;

/** One living room. It is single-threaded. */
export class Room {
  readonly table = new Table();
  readonly #c: RoomConfig;
  readonly #owed = new Owed();
  readonly #culprits: Culprits;
  readonly #batch = new Encoder(1024);
  #started = false;
  #reason: StartReason;
  #handle = 0n;
  #time: number;
  #alarm: number;
  #closed: CloseEvent[] = [];
  /** Whom the room watches since its last start. */
  #watching = new Set<string>();
  #result: Result = { rejections: [], error: undefined, unrun: [] };

  constructor(c: RoomConfig) {
    this.#c = c;
    this.#reason = c.reason;
    this.#time = c.time;
    this.#alarm = c.alarm;
    this.#culprits = new Culprits(c.culprits);
    for (const m of c.connections) this.table.add(m.connection, m.closing);
    this.#closed = this.table.closing();
  }

  /** The room is in memory. */
  get started(): boolean {
    return this.#started && this.#c.guest.alive(this.#handle);
  }

  get alarm(): number {
    return this.#alarm;
  }

  /** The last turn's time. */
  get time(): number {
    return this.#time;
  }

  get culprits(): string[] {
    return this.#culprits.list();
  }

  /** A run without events would tell the room something. */
  get pending(): boolean {
    return this.#closed.length > 0 || this.#owed.length > 0;
  }

  /** Gives the room's memory back; its connections stay. */
  sleep(): void {
    this.#drop("wake");
  }

  /** Owes the room an event that did not happen; it hears of it in its next turn. */
  owe(e: RoomEvent, code: number): void {
    this.#owed.add(e, code);
  }

  /** Starts the room if it is not in memory. A run does so by itself. */
  start(): Result {
    this.#result = { rejections: [], error: undefined, unrun: [] };
    if (!this.started) this.#result.error = this.#begin();
    return this.#result;
  }

  /**
   * Hands events to the room, in as few turns as the limits allow. If a batch traps, its events
   * are run again one by one and the one that did it is rejected. Connections that the room
   * closes bring their close events in a further turn of the same run.
   */
  run(events: readonly RoomEvent[]): Result {
    this.#result = { rejections: [], error: undefined, unrun: [] };
    let waiting = [...events];
    for (;;) {
      let owes = false; // the events are close events that the room itself brought about
      if (waiting.length === 0) {
        waiting = this.#closed;
        this.#closed = [];
        owes = true;
      }
      if (waiting.length === 0 && this.#owed.length === 0) return this.#result;
      const [batch, rest] = cut(waiting);
      const admitted = this.#admit(batch);
      if (admitted.length > 0 || this.#owed.length > 0) {
        const failed = this.#turns(admitted);
        if (failed !== undefined) {
          this.#result.error = failed.error;
          const left = [...failed.left, ...rest];
          if (owes) this.#closed = [...onlyCloses(left), ...this.#closed];
          else this.#result.unrun = left;
          return this.#result;
        }
      }
      if (owes) {
        this.#closed = [...onlyCloses(rest), ...this.#closed];
        waiting = [];
      } else waiting = rest;
    }
  }

  /** Runs one batch, in one turn if it does not trap. */
  #turns(batch: RoomEvent[]): { left: RoomEvent[]; error: Failure } | undefined {
    const owed = this.#owed.take();
    const trap = this.#turn([...owed, ...batch]);
    if (trap === undefined) return undefined;
    this.#owed.restore(owed);
    if (!trap.ofRoom) return { left: batch, error: trap };
    // The start and what is owed go first and alone, so that an event is not blamed for them.
    const failed = this.#begin();
    if (failed !== undefined) return { left: batch, error: failed };
    for (const [i, e] of batch.entries()) {
      const [one] = this.#admit([e]);
      if (one === undefined) continue; // what came before has made it void
      const error = this.#single(one);
      if (error !== undefined) return { left: batch.slice(i), error };
    }
    return undefined;
  }

  /** Runs one event alone. A failure means that it did not happen and that no other can. */
  #single(e: RoomEvent): Failure | undefined {
    for (;;) {
      const failed = this.#begin();
      if (failed !== undefined) return failed;
      const trap = this.#turn([e]);
      if (trap === undefined) return undefined;
      if (!trap.ofRoom) return trap;
      const near = trap.trap === "fuel" || trap.trap === "memory";
      if (near && this.#c.guest.isolate()) continue; // it may have been a neighbour's doing
      this.#reject(e, trap, false);
      return undefined;
    }
  }

  /**
   * Starts the room if it is not in memory and tells it what it is owed. A room that fails on
   * being told of a failure is not told again.
   */
  #begin(): Failure | undefined {
    while (!this.started) {
      const owed = this.#owed.take();
      const trap = this.#turn(owed);
      if (trap === undefined) continue;
      if (!trap.ofRoom) {
        this.#owed.restore(owed);
        return trap;
      }
      if (owed.length === 0) {
        if (this.#c.guest.isolate()) continue;
        return new StartError(`${this.#c.kind.name}/${this.#c.name}`, trap);
      }
    }
    return undefined;
  }

  /** Runs one batch, behind a start event if the room is not in memory. */
  #turn(events: RoomEvent[]): Trap | undefined {
    const c = this.#c;
    const time = Math.max(this.#time, c.now(), 0);
    let all = events;
    let effects: Effect[];
    let restored = 0;
    try {
      let handle = this.#handle;
      if (!this.started) {
        if (this.#started) this.#drop("wake"); // the instance was replaced or forgot the room
        handle = c.guest.handle();
        all = [this.#startEvent(), ...events];
        restored = this.table.connections().length;
      }
      this.#batch.reset();
      encodeBatch(this.#batch, { handle, time, seed: c.seed(), storeAway: false, events: all });
      const out = c.guest.turn(this.#batch.view(), c.storage, restored);
      this.#handle = handle;
      this.#started = true;
      if (all !== events) this.#watching = new Set(); // a start begins with nobody watched
      effects = validate(this.table, this.#watching, all, out);
    } catch (fault) {
      if (fault instanceof FieldError) c.guest.discard();
      else c.guest.sleep();
      this.#trapped();
      if (fault instanceof Trap) return fault;
      if (fault instanceof FieldError) return new Trap("garbage", fault.message);
      throw fault;
    }
    const turn = newTurn(time, all);
    for (const e of all) if (e.type === "alarm" && this.#alarm === e.scheduled) turn.alarm = 0;
    split(turn, effects);
    try {
      c.effects.commit(turn);
    } catch (fault) {
      c.guest.sleep();
      this.#trapped();
      return new Trap("storage", `commit: ${fault instanceof Error ? fault.message : String(fault)}`);
    }
    this.#time = time;
    if (turn.alarm !== undefined) this.#alarm = turn.alarm;
    for (const e of turn.effects) {
      if (e.type !== "watch") continue;
      if (e.on) this.#watching.add(e.user);
      else this.#watching.delete(e.user);
    }
    this.#take(turn);
    return undefined;
  }

  #startEvent(): RoomEvent {
    const { kind, name, term } = this.#c;
    const connections = this.table.connections();
    return { type: "start", kind: kind.name, room: name, reason: this.#reason, term, alarm: this.#alarm, connections };
  }

  #trapped(): void {
    this.#started = false;
    this.#reason = "trap";
  }

  #drop(reason: StartReason): void {
    if (this.#started) {
      this.#reason = reason;
      this.#c.guest.sleep();
    }
    this.#started = false;
  }

  /** Applies a turn to the table and carries it out. */
  #take(turn: Turn): void {
    this.table.deliver(turn, (e) => {
      if (e.type === "close" && this.table.has(e.connection)) this.#closed.push(closeEvent(e));
      this.#c.effects.deliver(e, this.table);
    });
    this.#c.effects.done(turn);
  }

  /** Takes a turn in the room's place. */
  #decide(events: RoomEvent[], ...effects: DeliverEffect[]): void {
    this.#take({ ...newTurn(this.#time, events), decision: true, effects });
  }

  /** Leaves out the events that must not reach the room, and decides them in its place. */
  #admit(events: readonly RoomEvent[]): RoomEvent[] {
    const out: RoomEvent[] = [];
    const joining = new Set<bigint>();
    const members = this.table.length;
    let size = 0;
    let alarm = this.#alarm;
    for (let e of events) {
      if (e.type === "close") e = cleanClose(e);
      const fault = checkEvent(e);
      if (fault !== undefined) {
        this.#refuse(e, fault);
        continue;
      }
      switch (e.type) {
        case "connect": {
          const { id } = e.connection;
          const n = memberSize(e.connection);
          if (this.table.get(id) !== undefined || joining.has(id)) continue;
          if (members + joining.size >= this.#c.kind.members || !this.table.fits(size + n)) {
            this.#decide([], refusal(e, codes.roomFull));
            continue;
          }
          joining.add(id);
          size += n;
          break;
        }
        case "message":
          if (!this.table.has(e.connection) && !joining.has(e.connection)) continue;
          break;
        case "notified":
          if (!this.table.has(e.connection) && !joining.has(e.connection)) continue;
          break;
        case "presence": {
          // A room that is not in memory says in its start whom it watches.
          if (!this.started) break;
          const users = e.users.filter((u) => this.#watching.has(u.user));
          if (users.length === 0) continue;
          e = { type: "presence", users };
          break;
        }
        case "close":
          if (this.table.get(e.connection) === undefined && !joining.has(e.connection)) continue;
          break;
        case "alarm":
          if (alarm === 0 || alarm !== e.scheduled) continue;
          alarm = 0;
          break;
      }
      if (this.#culprits.has(e)) {
        this.#reject(e, new Trap("panic", "the room failed on the same event before"), true);
        continue;
      }
      out.push(e);
    }
    return out;
  }

  /** Decides on an event that cannot be put into a batch. */
  #refuse(e: RoomEvent, fault: FieldError): void {
    this.#result.rejections.push({ event: e, trap: new Trap("event", fault.message), known: true });
    let code: number = fault.kind === "limit" ? codes.tooLarge : codes.malformed;
    switch (e.type) {
      case "connect":
        if (this.table.get(e.connection.id) === undefined) this.#decide([], refusal(e, code));
        return;
      case "request":
        this.#decide([], answer(e, code));
        return;
      case "message":
        if (code === codes.tooLarge) code = codes.messageTooBig;
        else if (e.encoding === "text") code = codes.invalidUTF8;
        this.#decide([], { type: "close", connection: e.connection, code, reason: closeReason(code) });
    }
  }

  /** Decides on an event that the room fails on. */
  #reject(e: RoomEvent, trap: Trap, known: boolean): void {
    this.#result.rejections.push({ event: e, trap, known });
    if (!known) this.#culprits.add(e);
    switch (e.type) {
      case "connect":
        this.#decide([], refusal(e, codes.rejected));
        return;
      case "request":
        this.#decide([], answer(e, codes.rejected, "The room failed on this request; it was not applied."));
        return;
      case "close":
        this.#decide([e]); // the connection is gone all the same
        return;
      case "message":
      case "told":
        this.#owed.add(e, codes.rejected);
    }
  }
}

function onlyCloses(events: readonly RoomEvent[]): CloseEvent[] {
  return events.filter((e) => e.type === "close");
}
