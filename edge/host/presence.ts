// The Durable Object class of presence across rooms: where users are. It is told by rooms when a
// user's first connection comes and when the last one goes, asks the rooms themselves when it is
// read, and again once in a while; the rooms answer from their sockets, without being started.

import { DurableObject } from "cloudflare:workers";
import type { Account } from "./account.ts";
import { Journal } from "./log.ts";
import { type Device, newest } from "./newest.ts";
import type { Notice } from "./notice.ts";
import { type Place, Register } from "./register.ts";
import type { Notification, Service, UserPresence } from "./service.ts";
import { Watchers, type Word } from "./watchers.ts";

/** How often rooms are asked without a reader, in ms. */
export const sweepEvery = 15 * 60_000;
/** Bounds the rooms that are asked at once, */
const abreast = 16;
/** for one read (the platform allows 1,000 calls), */
const maxAsked = 200;
/** and of one room the users. */
const maxUsers = 10_000;
/** When a room that was not told is told again, in ms. */
const retryAfter = 30_000;

const first: Place = { kind: "", room: "" };

/** Makes the class. `every` is how often rooms are asked without a reader, in ms. */
export function presenceClass(service: (env: unknown) => Service, every: (env: unknown) => number = () => sweepEvery) {
  return class PresenceObject extends DurableObject {
    readonly #register: Register;
    readonly #watchers: Watchers;
    #telling = false;
    readonly #journal: Journal;
    readonly #account: Account | undefined;

    constructor(ctx: DurableObjectState, env: object) {
      super(ctx, env);
      this.#register = new Register(ctx.storage.sql);
      this.#watchers = new Watchers(this.#register);
      const name = `presence/${ctx.id.name ?? ctx.id.toString()}`;
      this.#journal = new Journal(name);
      this.#account = service(env).bill?.account(name);
      this.#account?.woke(this.#register);
    }

    async told(kind: string, room: string, notices: Notice[]): Promise<boolean> {
      const done = this.#count();
      try {
        for (const n of notices) this.#register.take({ kind, room }, n);
        if ((await this.ctx.storage.getAlarm()) === null) await this.#wakeAt(this.#nextSweep());
        this.#spread(notices.map((n) => n.user));
        return true;
      } catch (fault) {
        this.#broke("told", fault);
        return false;
      } finally {
        done?.();
      }
    }

    async of(user: string): Promise<UserPresence | undefined> {
      const done = this.#count();
      try {
        const { rooms } = this.#register.of(user);
        await this.#ask(rooms.slice(0, maxAsked), () => [user]);
        return this.#register.of(user);
      } catch (fault) {
        this.#broke("of", fault);
        return undefined;
      } finally {
        done?.();
      }
    }

    async watch(kind: string, room: string, on: string[], off: string[]): Promise<Map<string, boolean> | undefined> {
      const done = this.#count();
      try {
        const states = this.#watchers.change({ kind, room }, on, off);
        for (const user of on)
          if (!states.has(user)) this.#journal.host(4, "too many rooms watch a user; one is not told", { kind, room });
        return states;
      } catch (fault) {
        this.#broke("watch", fault);
        return undefined;
      } finally {
        done?.();
      }
    }

    async notify(user: string, n: Notification): Promise<number | undefined> {
      const done = this.#count();
      try {
        return await this.#notify(user, n);
      } catch (fault) {
        this.#broke("notify", fault);
        return undefined;
      } finally {
        done?.();
      }
    }

    /** The rooms say which connections there are; of each device the newest is told by its room. */
    async #notify(user: string, n: Notification): Promise<number> {
      const found: (Device & { at: Place })[] = [];
      const { rooms } = this.#register.of(user);
      await this.#each(rooms.slice(0, maxAsked), async (at) => {
        const devices = (await service(this.env).room(at.kind, at.room)?.devices(user)) ?? [];
        for (const d of devices) found.push({ ...d, at });
      });
      const chosen = new Map<Place, bigint[]>();
      for (const { at, id } of newest(found)) chosen.set(at, [...(chosen.get(at) ?? []), id]);
      let reached = 0;
      await this.#each([...chosen.keys()], async (at) => {
        const ids = chosen.get(at) ?? [];
        const took = (await service(this.env).room(at.kind, at.room)?.notified(ids, n)) ?? 0;
        reached += took;
      });
      return reached;
    }

    /** Sees to it that rooms hear of users who may have come or gone. */
    #spread(users: readonly string[]): void {
      const now = Date.now();
      for (const user of users) this.#watchers.changed(user, now);
      const next = this.#watchers.next();
      if (next !== 0) this.ctx.waitUntil(next <= now ? this.#tell() : this.#soon(next));
    }

    /** Tells rooms what they have to hear now, and has the alarm ring for the rest. */
    async #tell(): Promise<void> {
      if (this.#telling) return; // whoever is at it looks again
      this.#telling = true;
      try {
        let words = this.#watchers.due(Date.now(), maxAsked);
        for (let round = 0; round < 4 && words.length > 0; round++) {
          await this.#each(words, (w) => this.#say(w));
          words = this.#watchers.due(Date.now(), maxAsked);
        }
      } catch (fault) {
        this.#broke("telling watchers", fault);
      } finally {
        this.#telling = false;
      }
      const next = this.#watchers.next();
      if (next !== 0) await this.#soon(next);
    }

    async #say(word: Word): Promise<void> {
      const { kind, room, users } = word;
      try {
        const object = service(this.env).room(kind, room);
        // A room of a kind that is no more watches nobody.
        const strangers = object === undefined ? users.map((u) => u.user) : await object.watched(users);
        this.#watchers.heard(word, strangers, Date.now());
      } catch (fault) {
        this.#watchers.later(word, Date.now() + retryAfter);
        throw fault;
      }
    }

    /** Has the alarm ring for the watchers, before the next sweep. */
    async #soon(at: number): Promise<void> {
      const { kv } = this.ctx.storage;
      if (kv.get("soon") === undefined) kv.put("soon", true);
      const alarm = await this.ctx.storage.getAlarm();
      if (alarm === null || alarm > at) await this.#wakeAt(at);
    }

    override async alarm(): Promise<void> {
      const done = this.#count();
      const { kv } = this.ctx.storage;
      try {
        if (kv.get("soon") === undefined) {
          await this.#sweep();
        } else {
          kv.delete("soon");
          await this.#wakeAt(kv.get("swept") === undefined ? this.#nextSweep() : Date.now());
        }
        await this.#tell();
      } catch (fault) {
        this.#broke("alarm", fault);
        this.#wakeAt(this.#nextSweep()).catch(() => undefined);
      } finally {
        done?.();
      }
    }

    #count(): (() => void) | undefined {
      if (this.#account !== undefined) this.#account.requests++;
      return this.#account?.hold("request");
    }

    #wakeAt(time: number): Promise<void> {
      this.#register.rowsWritten++;
      return this.ctx.storage.setAlarm(time);
    }

    /** Asks some rooms; the alarm comes again at once for the rest, else at the next sweep if there are users. */
    async #sweep(): Promise<void> {
      const { kv } = this.ctx.storage;
      const before = Date.now() - every(this.env) / 2;
      const rooms = this.#register.rooms(kv.get<Place>("swept") ?? first, before, maxAsked);
      await this.#ask(rooms, (place) => this.#register.users(place, maxUsers));
      const last = rooms.length === maxAsked ? rooms.at(-1) : undefined;
      if (last !== undefined) {
        kv.put("swept", last);
        await this.#wakeAt(Date.now());
        return;
      }
      if (kv.get("swept") !== undefined) kv.delete("swept");
      if (this.#register.forget(before)) await this.#wakeAt(this.#nextSweep());
    }

    /** All shards sweep at the same time by the clock, so that a room is woken once for all its users. */
    #nextSweep(): number {
      const interval = every(this.env);
      return (Math.floor(Date.now() / interval) + 1) * interval;
    }

    async #ask(places: readonly Place[], users: (p: Place) => string[]): Promise<void> {
      await this.#each(places, async (place) => {
        const asked = users(place);
        const room = service(this.env).room(place.kind, place.room);
        // A room of a kind that is no more has nobody in it.
        const answer = (await room?.present(asked)) ?? { number: Number.MAX_SAFE_INTEGER, users: new Map() };
        const before = this.#register.rowsWritten;
        this.#register.confirm(place, asked, answer, Date.now());
        if (this.#register.rowsWritten > before) this.#spread(asked);
      });
    }

    /** Does something about rooms, some at once. What a room said last holds while it does not answer. */
    async #each<T extends Place>(list: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
      const left = list.values();
      const one = async () => {
        for (const next of left) {
          try {
            await work(next);
          } catch (fault) {
            const { kind, room } = next;
            this.#journal.host(4, "a room did not answer", { kind, room, error: String(fault) });
          }
        }
      };
      await Promise.all(Array.from({ length: abreast }, one));
    }

    #broke(handler: string, fault: unknown): void {
      const error = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
      this.#journal.host(8, "the presence object failed", { handler, error });
    }
  };
}
