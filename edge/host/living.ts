// A room's object: what it knows, and how the effects of its turns are carried out. The class that
// the platform calls is in object.ts.

import { codes, limits } from "./abi.gen.ts";
import type { Account } from "./account.ts";
import { Requests } from "./answers.ts";
import { closeReason } from "./code.ts";
import { alarmDelay, backOff, maxAlarmAttempts, outboxDelay } from "./delay.ts";
import type { DeliverEffect, NotifyEffect } from "./effect.ts";
import type { RoomEvent, UserState } from "./event.ts";
import { Journal } from "./log.ts";
import type { KindOptions } from "./manifest.ts";
import { shardOf } from "./notice.ts";
import { Numbers } from "./numbers.ts";
import { outboxBatch, tellAll } from "./outbox.ts";
import { pings } from "./ping.ts";
import type { Pool } from "./pool.ts";
import { Roll } from "./roll.ts";
import { type Effects, type Rejection, type Result, Room } from "./room.ts";
import { Schedule, watchdog } from "./schedule.ts";
import type { Notification, Service } from "./service.ts";
import { endedBy, heartbeat, type Socket, type Sockets } from "./sockets.ts";
import type { RoomState, Store, Tell } from "./store.ts";
import type { Table } from "./table.ts";
import { Ticker } from "./ticker.ts";
import { StartError } from "./trap.ts";
import type { Turn } from "./turn.ts";
import { Watches } from "./watches.ts";
import { stringOf } from "./wire.ts";

/** Bounds the notifications of a room that wait to be delivered. Package scheduler has the same. */
const maxNotices = 4 * limits.maxNotifies;

/** How long the presence objects may hear late of who came and went, in ms. */
const noteDelay = 100;

/** What an object has done since it woke, for the report. */
export interface Ledger {
  turns: number;
  traps: number;
  alarms: number;
  ticks: number;
}

export class Living implements Effects {
  readonly state: RoomState;
  readonly kind: KindOptions;
  readonly room: Room;
  readonly requests = new Requests();
  readonly numbers: Numbers;
  readonly ledger: Ledger = { turns: 0, traps: 0, alarms: 0, ticks: 0 };
  /** Told events that did not happen: their tellers keep them and try again. */
  unheard = 0;
  readonly #ctx: DurableObjectState;
  readonly #store: Store;
  readonly #sockets: Sockets;
  readonly #schedule: Schedule;
  readonly #ticker: Ticker;
  readonly #journal: Journal;
  readonly #service: Service;
  readonly #roll: Roll | undefined;
  readonly #account: Account | undefined;
  readonly #watches: Watches;
  readonly #touched = new Set<bigint>();
  #outbox: Tell[] = [];
  #telling = false;
  #outboxFailures = 0;
  #rollFailures = 0;
  #watchFailures = 0;
  /** How often in a row the room did not hear of users. */
  #unseenTimes = 0;
  #seeing = false;
  #notifying: Promise<void> = Promise.resolve();
  #notices = 0;
  #noting = false;
  #commits = 0;
  #ticks: (() => undefined) | undefined;
  #failures = 0;
  #retryAt = 0;
  /** When silent clients were looked for. */
  #looked = Date.now();

  constructor(
    ctx: DurableObjectState,
    pool: Pool,
    kind: KindOptions,
    state: RoomState,
    store: Store,
    sockets: Sockets,
    service: Service,
    account: Account | undefined,
  ) {
    this.#account = account;
    this.#ctx = ctx;
    this.state = state;
    this.kind = kind;
    this.#store = store;
    this.#sockets = sockets;
    this.#service = service;
    this.numbers = new Numbers(state, store);
    this.#commits = state.commits;
    this.#journal = new Journal(`${state.kind}/${state.name}`);
    this.#schedule = new Schedule(store);
    this.#ticker = new Ticker((missed) => {
      this.ledger.ticks++;
      this.run([{ type: "tick", missed }]);
    });
    const connections = sockets.restore();
    this.room = new Room({
      kind,
      name: state.name,
      term: state.term,
      guest: pool.guest(this.#journal),
      storage: store,
      effects: this,
      now: Date.now,
      seed: () => crypto.getRandomValues(new Uint8Array(32)),
      time: state.time,
      alarm: state.alarm,
      reason: state.commits > 0 || connections.length > 0 ? "wake" : "cold",
      connections,
      culprits: state.culprits,
    });
    if (service.presence(0) !== undefined)
      this.#roll = new Roll(store, this.room.table.users, this.numbers, this.#journal);
    this.#watches = new Watches(store);
    this.#schedule.assume(state, sockets.expiry);
    if (kind.protocols.some(pings))
      ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('{"type":"ping"}', '{"type":"pong"}'));
    if (store.outbox(1).length > 0) this.#schedule.outbox = Date.now();
  }

  /** Hands events to the room and carries out what comes of it. It never throws. */
  run(events: readonly RoomEvent[]): void {
    const now = Date.now();
    if (now < this.#retryAt) {
      this.#fail(events, codes.roomUnavailable, this.#retryAt - now);
    } else {
      this.#settle(this.room.run(events));
    }
    this.#afterwards();
  }

  /** Starts the room without an event, so that it can ask for ticks again. */
  wake(): void {
    if (Date.now() >= this.#retryAt) this.#settle(this.room.start());
    this.#afterwards();
  }

  commit(turn: Turn): void {
    const tells = this.#store.commit(turn, this.state);
    this.#outbox.push(...tells);
    this.ledger.turns++;
    if (turn.events[0]?.type === "start") this.#ticker.set(0); // ticks end with the room's memory
  }

  deliver(e: DeliverEffect, table: Table): void {
    switch (e.type) {
      case "send":
        this.#sockets.send(e.connection, e.encoding === "text" ? stringOf(e.data) : e.data);
        return;
      case "broadcast": {
        const frame = e.encoding === "text" ? stringOf(e.data) : e.data;
        for (const id of table.recipients(e)) this.#sockets.send(id, frame);
        return;
      }
      case "close":
        this.#sockets.close(e, table.get(e.connection)?.connection);
        return;
      case "attach":
      case "mute":
      case "tags":
        this.#touched.add(e.connection);
        return;
      case "tick":
        this.#ticker.set(e.interval);
        return;
      case "respond":
        this.requests.respond(e);
        return;
      case "notify":
        this.#notify(e);
        return;
      case "watch": // done
      case "join":
        return;
    }
  }

  done(turn: Turn): void {
    this.#watches.take(turn);
    for (const e of turn.events) {
      if (e.type === "connect") this.#touched.add(e.connection.id);
      else if (e.type === "close") this.#sockets.ended(e.connection);
    }
    for (const id of this.#touched) {
      const m = this.room.table.get(id);
      if (m !== undefined && m.closing === undefined) this.#sockets.save(m.connection);
    }
    this.#touched.clear();
  }

  /** Hears whether users are online. A room without connections is not started for it. */
  hear(users: UserState[]): string[] {
    const strangers = this.#watches.hear(users);
    this.#afterwards();
    return strangers;
  }

  /** Says something to connections, and returns how many there are. */
  notify(connections: readonly bigint[], n: Notification): number {
    const there = connections.filter((id) => this.room.table.has(id));
    this.run(there.map((connection) => ({ type: "notified", connection, ...n })));
    return there.length;
  }

  /** Everything that is due: the room's alarm, ended credentials, the watchdog, the outbox. */
  ring(): void {
    const now = Date.now();
    this.#schedule.rang();
    this.ledger.alarms++;
    this.closeSilent();
    for (const s of this.#sockets.all()) if (s.expires !== 0 && s.expires <= now) this.evict(s.id, codes.tokenExpired);
    if (this.#schedule.outbox !== 0 && this.#schedule.outbox <= now) {
      this.#schedule.outbox = 0;
      if (this.#outbox.length === 0) this.#outbox = this.#store.outbox(outboxBatch);
    }
    if (this.#schedule.roll <= now) this.#schedule.roll = 0;
    if (this.#schedule.watch <= now) this.#schedule.watch = 0;
    const { alarm, due, attempt } = this.state;
    if (due !== 0 && due <= now) this.run([{ type: "alarm", scheduled: alarm, attempt }]);
    else if (!this.room.started && (this.state.ticking || this.#missed)) this.wake();
    else this.#afterwards();
  }

  /**
   * The object has woken, and may have gone to sleep with something of watched users that its room had yet to hear: a
   * start hears it all.
   */
  get #missed(): boolean {
    return this.ledger.turns === 0 && this.#watches.some && this.#sockets.size > 0;
  }

  /** Takes note of a new socket: its credential may end. */
  expect(s: Socket): void {
    if (s.expires !== 0) this.#schedule.arm(this.state, this.#sockets.expiry);
  }

  /** Ends a connection in the room's place; the room hears of it. */
  evict(id: bigint, code: number, retry = 0): void {
    const reason = closeReason(code, retry);
    this.#sockets.end(id, code, reason);
    this.run([endedBy(id, code, reason)]);
  }

  /** Ends connections whose clients were silent for too long: any wake looks for them, and a room that stays awake. */
  closeSilent(): void {
    this.#looked = Date.now();
    for (const s of this.#sockets.silent(Date.now())) this.evict(s.id, codes.heartbeatTimeout, 1000);
  }

  #settle(result: Result): void {
    for (const r of result.rejections) this.#rejected(r);
    if (result.error === undefined) {
      this.#failures = 0;
      return;
    }
    const start = result.error instanceof StartError;
    const code = start ? codes.roomUnavailable : codes.storageUnavailable;
    this.#failures++;
    const wait = backOff(this.#failures);
    this.#retryAt = Date.now() + wait;
    this.#journal.host(8, "the room does not run", { error: result.error.message, retry: wait });
    this.#fail(result.unrun, code, wait);
    if (!start) return;
    for (const s of [...this.#sockets.all()]) {
      this.#sockets.end(s.id, code, closeReason(code, wait));
      this.room.table.remove(s.id);
    }
  }

  /** Reports an event that made the room trap. */
  #rejected({ event, trap, known }: Rejection): void {
    this.ledger.traps++;
    this.#journal.host(8, "the room trapped", {
      event: event.type,
      cause: trap.trap,
      trap: trap.message.slice(0, 2048),
    });
    if (event.type === "told" && !known) this.#save({ culprits: this.room.culprits });
    if (event.type === "presence") this.#unseen(event.users, 0);
    if (event.type !== "alarm") return;
    const attempt = event.attempt + 1;
    const parked = attempt >= maxAlarmAttempts;
    if (parked) this.#journal.host(8, "the room's alarm is parked: it failed too often", { attempts: attempt });
    this.#save({ attempt, due: parked ? 0 : Date.now() + alarmDelay(event.attempt) });
  }

  /** Answers events that did not happen: their senders may try again after `wait` ms. */
  #fail(events: readonly RoomEvent[], code: number, wait: number): void {
    const reason = closeReason(code, wait);
    for (const e of events) {
      switch (e.type) {
        case "connect":
          this.#sockets.end(e.connection.id, code, reason);
          break;
        case "message":
          this.#sockets.end(e.connection, code, reason);
          this.room.table.remove(e.connection);
          break;
        case "close":
          this.#sockets.ended(e.connection);
          this.room.table.remove(e.connection);
          break;
        case "request":
          this.requests.fail(e.id, code, wait);
          break;
        case "alarm":
          this.#schedule.retry = Date.now() + wait;
          break;
        case "told":
          this.unheard++;
          break;
        case "presence":
          this.#unseen(e.users, wait);
          break;
      }
    }
  }

  #save(change: Partial<RoomState>): void {
    Object.assign(this.state, change);
    try {
      this.#store.save(this.state);
    } catch (fault) {
      this.#journal.host(8, "the host's row was not written", { error: String(fault) });
    }
  }

  /** After every run: ticks, the outbox, the alarm. */
  #afterwards(): void {
    if (!this.room.started) this.#ticker.set(0);
    const ticking = this.#ticker.interval > 0;
    if (ticking) this.#ticks ??= this.#account?.hold("ticks");
    else this.#ticks = this.#ticks?.();
    if (ticking !== this.state.ticking && (ticking || this.room.started)) this.#save({ ticking });
    const now = Date.now();
    if (!this.state.ticking) this.#schedule.tick = 0;
    else if (this.#schedule.tick < now + watchdog) this.#schedule.tick = now + 2 * watchdog;
    if (this.#schedule.retry <= now) this.#schedule.retry = 0;
    if (now - this.#looked > heartbeat) this.closeSilent();
    this.#see();
    this.#tell();
    this.#note();
    this.#announce();
    this.#watch();
    this.#schedule.arm(this.state, this.#sockets.expiry);
  }

  /** Tells the room of the users whom it watches. Not without connections: it is told when it starts. */
  #see(): void {
    if (this.#seeing || this.#schedule.watch !== 0 || (this.#sockets.size === 0 && !this.room.started)) return;
    this.#seeing = true;
    try {
      for (let round = 0; round < 4; round++) {
        const users = this.#watches.takeDue();
        if (users.length === 0) break;
        const before = this.#unseenTimes;
        this.#settle(this.room.run([{ type: "presence", users }]));
        if (this.#unseenTimes > before) break;
        this.#unseenTimes = 0;
      }
    } finally {
      this.#seeing = false;
    }
  }

  /** Users of whom the room did not hear: it is told later, longer each time. */
  #unseen(users: readonly UserState[], wait: number): void {
    this.#watches.putBack(users);
    this.#schedule.watch = Date.now() + Math.max(wait, backOff(++this.#unseenTimes));
  }

  /** Tells the presence objects whom the room watches; what fails is tried again by the alarm. */
  #watch(): void {
    if (!this.#watches.ready || this.#schedule.watch !== 0) return;
    const { kind, name } = this.state;
    const work = this.#watches.tell(this.#service, kind, name).then((heard) => {
      if (heard) this.#watchFailures = 0;
      else this.#schedule.watch = Date.now() + outboxDelay(this.#watchFailures++);
      this.#afterwards();
    });
    this.#await(work.catch((fault) => this.#journal.host(8, "watching failed", { error: String(fault) })));
  }

  /** Says something to a user, behind what was said before. What cannot be delivered is lost. */
  #notify(e: NotifyEffect): void {
    if (this.#notices >= maxNotices) {
      this.#journal.host(4, "too many notifications wait; one is lost", { user: e.user });
      return;
    }
    this.#notices++;
    const { kind, name } = this.state;
    const n: Notification = {
      fromKind: kind,
      fromRoom: name,
      event: e.event,
      encoding: e.encoding,
      data: e.data.slice(),
    };
    const work = this.#notifying.then(async () => {
      try {
        await this.#service.presence(shardOf(e.user))?.notify(e.user, n);
      } catch {
        // It is lost.
      }
      this.#notices--;
    });
    this.#notifying = work;
    this.#await(work);
  }

  /** Executes what waits in the outbox; what fails is tried again by the alarm. */
  #tell(): void {
    if (this.#telling || this.#outbox.length === 0) return;
    const tells = this.#outbox.splice(0, outboxBatch);
    this.#telling = true;
    const { kind, name } = this.state;
    const work = tellAll(this.#service, kind, name, tells).then((heard) => {
      this.#telling = false;
      this.#store.told(heard);
      if (heard.length === tells.length) this.#outboxFailures = 0;
      else this.#schedule.outbox = Date.now() + outboxDelay(this.#outboxFailures++);
      this.#afterwards();
    });
    this.#await(
      work.catch((fault) => {
        this.#telling = false;
        this.#journal.host(8, "the outbox failed", { error: String(fault) });
      }),
    );
  }

  /**
   * Writes down who came and went: in the turn's own commit if it has one, else a moment later, for all
   * who came meanwhile, and not before the answer, which a write would hold back. If the object dies
   * between, its next start finds the difference.
   */
  #note(): void {
    const roll = this.#roll;
    const committed = this.state.commits !== this.#commits;
    this.#commits = this.state.commits;
    if (roll === undefined || !this.room.table.users.changed) return;
    if (committed) {
      roll.note();
      return;
    }
    if (this.#noting) return;
    this.#noting = true;
    const later = scheduler.wait(noteDelay).then(() => {
      this.#noting = false;
      roll.note();
      this.#announce();
    });
    this.#await(later.catch((fault) => this.#journal.host(8, "presence failed", { error: String(fault) })));
  }

  /** Tells the presence objects who came and went; what fails is tried again by the alarm. */
  #announce(): void {
    const roll = this.#roll;
    if (roll === undefined || !roll.ready || this.#schedule.roll !== 0) return;
    const { kind, name } = this.state;
    const work = roll.tell(this.#service, kind, name).then((heard) => {
      if (heard) this.#rollFailures = 0;
      else this.#schedule.roll = Date.now() + outboxDelay(this.#rollFailures++);
      this.#afterwards();
    });
    this.#await(work.catch((fault) => this.#journal.host(8, "presence failed", { error: String(fault) })));
  }

  #await(work: Promise<unknown>): void {
    this.#ctx.waitUntil(work.finally(this.#account?.hold("telling")));
  }
}
