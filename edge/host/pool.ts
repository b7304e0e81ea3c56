// The instances of one module in one isolate. Rooms of a shareable module share one memory, because
// an isolate has 128 MB and a Go memory of its own costs each room 3 to 4 MB.

import { encodeBatch } from "./batch.ts";
import type { Guest, Storage } from "./guest.ts";
import { Instance } from "./instance.ts";
import { Journal } from "./log.ts";
import { type Manifest, manifestOf } from "./manifest.ts";
import { Trap } from "./trap.ts";
import { Decoder, Encoder } from "./wire.ts";

/** Above this size, in bytes, an instance is replaced: a memory never shrinks. */
export const memoryMark = 48 << 20;
/** A room without a turn for so long, in ms, is forgotten: its object has hibernated after 10 s. */
export const forgetAfter = 15_000;
/** Bounds the rooms that are forgotten before one turn, so that it is not delayed by many. */
const forgetAtOnce = 4;

/** An instance and the rooms that live in it, least recently used first. */
class Shared {
  readonly instance: Instance;
  readonly rooms = new Map<bigint, number>();

  constructor(instance: Instance) {
    this.instance = instance;
  }
}

export interface PoolOptions {
  /** Each room gets an instance of its own, whatever the manifest says. */
  alone?: boolean;
  /** Default {@link memoryMark}. */
  memoryMark?: number;
  /** Default {@link forgetAfter}. */
  forgetAfter?: number;
}

/** What a pool has done, for the report. */
export interface PoolStats {
  instances: number;
  traps: number;
  replaced: number;
  forgotten: number;
}

export class Pool {
  readonly stats: PoolStats = { instances: 0, traps: 0, replaced: 0, forgotten: 0 };
  readonly #module: WebAssembly.Module;
  readonly #options: PoolOptions;
  #manifest: Manifest | undefined;
  #current: Shared | undefined;
  #handle = 0n;
  /** Rooms whose objects are gone, as far as the collector has noticed. */
  readonly #gone: bigint[] = [];
  readonly #registry = new FinalizationRegistry<bigint>((handle) => this.#gone.push(handle));

  constructor(module: WebAssembly.Module, options: PoolOptions = {}) {
    this.#module = module;
    this.#options = options;
  }

  /** The module's manifest. The first call instantiates the module. */
  get manifest(): Manifest {
    if (this.#manifest === undefined) this.#shared();
    return this.#manifest as Manifest;
  }

  /** The shared memory's size in bytes and the rooms in it. */
  get load(): { bytes: number; rooms: number } {
    const s = this.#current;
    return s === undefined || s.instance.dead
      ? { bytes: 0, rooms: 0 }
      : { bytes: s.instance.size, rooms: s.rooms.size };
  }

  /** A guest for one room. */
  guest(journal: Journal): Guest {
    return new PoolGuest(this, journal);
  }

  /** A handle that no room of this isolate ever had. */
  handle(): bigint {
    return ++this.#handle;
  }

  /** Has the room forgotten once nobody holds its guest any more. */
  watch(guest: object, handle: bigint): void {
    this.#registry.register(guest, handle, guest);
  }

  /** The room sleeps by itself. */
  unwatch(guest: object): void {
    this.#registry.unregister(guest);
  }

  /** A memory for a room that starts. */
  place(alone: boolean): Shared {
    const shared = this.#shared();
    if (!alone && !this.#options.alone && this.manifest.shareable) return shared;
    return new Shared(this.#instance());
  }

  /** Runs a turn, and throws the memory away if it traps or has grown too large. */
  turn(s: Shared, handle: bigint, batch: Uint8Array, storage: Storage, journal: Journal, restored: number): Uint8Array {
    this.#sweep(s, handle);
    const d = new Decoder(batch);
    d.uint64("batch.handle");
    const time = d.uvarint("batch.time", Number.MAX_SAFE_INTEGER);
    try {
      const out = s.instance.turn(batch, time, storage, journal, restored);
      s.rooms.delete(handle);
      s.rooms.set(handle, Date.now());
      journal.flush(false);
      if (s.instance.size > (this.#options.memoryMark ?? memoryMark) && s === this.#current) {
        this.stats.replaced++;
        s.instance.dead = true;
      }
      return out;
    } catch (fault) {
      this.stats.traps++;
      journal.flush(true);
      throw fault;
    }
  }

  /** Drops a room's state. */
  forget(s: Shared, handle: bigint): void {
    if (!s.rooms.delete(handle) || s.instance.dead || s !== this.#current) return;
    const e = new Encoder(64);
    const seed = new Uint8Array(32);
    encodeBatch(e, { handle, time: 0, seed, storeAway: false, events: [{ type: "forget" }] });
    try {
      s.instance.turn(e.view(), 0, undefined, undefined);
      this.stats.forgotten++;
    } catch (fault) {
      if (!(fault instanceof Trap)) throw fault; // else the instance is dead, and that is noted
    }
  }

  /** Throws a memory away with all its rooms. */
  discard(s: Shared): void {
    this.stats.traps++;
    s.instance.dead = true;
  }

  #sweep(s: Shared, but: bigint): void {
    const limit = Date.now() - (this.#options.forgetAfter ?? forgetAfter);
    let n = 0;
    if (s === this.#current)
      for (; n < forgetAtOnce && this.#gone.length > 0; n++) this.forget(s, this.#gone.pop() as bigint);
    for (const [handle, used] of s.rooms) {
      if (used > limit || n === forgetAtOnce) return;
      if (handle === but) continue;
      n++;
      this.forget(s, handle);
    }
  }

  #shared(): Shared {
    if (this.#current === undefined || this.#current.instance.dead) this.#current = new Shared(this.#instance());
    return this.#current;
  }

  #instance(): Instance {
    let instance: Instance;
    try {
      instance = new Instance(this.#module);
      this.#manifest ??= manifestOf(instance.manifest());
    } catch (fault) {
      if (fault instanceof Trap) throw fault;
      throw new Trap("garbage", fault instanceof Error ? fault.message : String(fault));
    }
    if (this.stats.instances++ === 0) {
      if (!instance.metered)
        new Journal("").host(
          4,
          "the module has no fuel: a room that loops blocks its isolate; build it with `make edge`",
        );
    }
    return instance;
  }
}

/** One room's view of the pool. */
class PoolGuest implements Guest {
  readonly #pool: Pool;
  readonly #journal: Journal;
  #place: Shared | undefined;
  #handle = 0n;
  #alone = false;

  constructor(pool: Pool, journal: Journal) {
    this.#pool = pool;
    this.#journal = journal;
  }

  handle(): bigint {
    this.sleep();
    this.#handle = this.#pool.handle();
    this.#place = this.#pool.place(this.#alone);
    this.#pool.watch(this, this.#handle);
    return this.#handle;
  }

  alive(handle: bigint): boolean {
    const p = this.#place;
    return p !== undefined && handle === this.#handle && !p.instance.dead && p.rooms.has(handle);
  }

  turn(batch: Uint8Array, storage: Storage, restored: number): Uint8Array {
    if (this.#place === undefined) throw new Trap("panic", "the room has no memory");
    return this.#pool.turn(this.#place, this.#handle, batch, storage, this.#journal, restored);
  }

  sleep(): void {
    if (this.#place !== undefined) {
      this.#pool.unwatch(this);
      this.#pool.forget(this.#place, this.#handle);
    }
    this.#place = undefined;
  }

  discard(): void {
    if (this.#place !== undefined) this.#pool.discard(this.#place);
    this.#place = undefined;
  }

  isolate(): boolean {
    if (this.#alone) return false;
    this.sleep();
    this.#alone = true;
    return true;
  }
}
