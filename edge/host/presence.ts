// The Durable Object class of presence across rooms: where users are. It is told by rooms when a
// user's first connection comes and when the last one goes, asks the rooms themselves when it is
// read, and again once in a while; the rooms answer from their sockets, without being started.

import { DurableObject } from "cloudflare:workers";
import type { Account } from "./account.ts";
import { Journal } from "./log.ts";
import type { Notice } from "./notice.ts";
import { type Place, Register } from "./register.ts";
import type { Service, UserPresence } from "./service.ts";

/** How often rooms are asked without a reader, in ms. */
export const sweepEvery = 15 * 60_000;
/** Bounds the rooms that are asked at once, */
const abreast = 16;
/** for one read (the platform allows 1,000 calls), */
const maxAsked = 200;
/** and of one room the users. */
const maxUsers = 10_000;

const first: Place = { kind: "", room: "" };

/** Makes the class. `every` is how often rooms are asked without a reader, in ms. */
export function presenceClass(service: (env: unknown) => Service, every: (env: unknown) => number = () => sweepEvery) {
  return class PresenceObject extends DurableObject {
    readonly #register: Register;
    readonly #journal: Journal;
    readonly #account: Account | undefined;

    constructor(ctx: DurableObjectState, env: object) {
      super(ctx, env);
      this.#register = new Register(ctx.storage.sql);
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

    override async alarm(): Promise<void> {
      const done = this.#count();
      try {
        await this.#sweep();
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
      const left = places.values();
      const one = async () => {
        for (const place of left) {
          const asked = users(place);
          try {
            const room = service(this.env).room(place.kind, place.room);
            // A room of a kind that is no more has nobody in it.
            const answer = (await room?.present(asked)) ?? { number: Number.MAX_SAFE_INTEGER, users: new Map() };
            this.#register.confirm(place, asked, answer, Date.now());
          } catch (fault) {
            // What the room said last holds until it answers again.
            this.#journal.host(4, "a room did not answer", { ...place, error: String(fault) });
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
