// One instance of a module: a memory in which one or many rooms live. Its life: made, used for
// turns one at a time, dead after the first trap. A dead instance is never called again, because
// it stays callable in a broken state.

import { importModule, limits } from "./abi.gen.ts";
import type { Storage } from "./guest.ts";
import { listRequestOf, listResponseBytes } from "./list.ts";
import type { RoomLog } from "./log.ts";
import { Trap } from "./trap.ts";
import { range, type WasiState, wasiImports, wasiModule } from "./wasi.ts";
import { compareBytes, FieldError } from "./wire.ts";

/** The exports of a prepared module (runtime/internal/wasm writes them in). */
const fuelExport = "\0oriel.fuel";
const startExport = "\0oriel.start";

/** The fuel of one turn: about 20 ms; package runtime has the same default. */
export const turnFuel = 160_000_000n;
/** Host calls pay their bytes shifted right by this, as bulk operations do (runtime/internal/wasm). */
const bulkShift = 2;
/** What a start may burn beside it for each connection that it lists; package runtime has the same. */
const connectionFuel = 48_000n;

/** The fuel of a start of the module: it is the module's own, not a room's. */
const startFuel = 20n * turnFuel;

/** Longer than any request of storage_list: two keys, a number and a flag. */
const maxRequest = 2 * limits.maxKey + 64;

/** Errors of a module that cannot be a room's. */
export class ModuleError extends Error {}

type Guest = (...args: number[]) => number | bigint;

interface LastRead {
  question: Uint8Array;
  answer: Uint8Array | undefined;
}

export class Instance {
  dead = false;
  readonly #state: WasiState;
  readonly #memory: WebAssembly.Memory;
  readonly #inbox: Guest;
  readonly #turn: Guest;
  readonly #manifest: Guest;
  readonly #fuel: WebAssembly.Global | undefined;
  #bytes: Uint8Array<ArrayBuffer>;
  #data: DataView;
  #storage: Storage | undefined;
  #log: RoomLog | undefined;
  #get: LastRead | undefined;
  #list: LastRead | undefined;

  /** Instantiates a module, 3 to 20 ms. Throws a ModuleError or a Trap. */
  constructor(module: WebAssembly.Module) {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#bytes = new Uint8Array(0);
    this.#data = new DataView(this.#bytes.buffer);
    this.#state = {
      memory: () => this.#view(),
      view: () => {
        this.#view();
        return this.#data;
      },
      time: now,
      monotonic: now,
      pay: (bytes) => this.#pay(bytes),
      polls: 0,
      output: "",
      exitCode: undefined,
    };
    const imports = { [wasiModule]: wasiImports(this.#state), [importModule]: this.#imports() };
    check(module, imports);
    const { exports } = new WebAssembly.Instance(module, imports);
    this.#memory = exports.memory as WebAssembly.Memory;
    this.#inbox = exports.oriel_inbox as Guest;
    this.#turn = exports.oriel_turn as Guest;
    this.#manifest = exports.oriel_manifest as Guest;
    this.#fuel = exports[fuelExport] as WebAssembly.Global | undefined;
    this.#call(startFuel, () => {
      (exports[startExport] as Guest | undefined)?.();
      (exports._initialize as Guest | undefined)?.();
    });
  }

  /** The module has fuel: a loop ends as a trap. Without it, a loop blocks the isolate. */
  get metered(): boolean {
    return this.#fuel !== undefined;
  }

  /** The size of the memory in bytes; it never shrinks. */
  get size(): number {
    return this.#memory.buffer.byteLength;
  }

  /** The module's manifest, encoded. */
  manifest(): Uint8Array {
    return this.#call(startFuel, () => this.#result(this.#manifest()));
  }

  /**
   * Runs one batch and returns a copy of the effects. Throws a Trap, and then the instance is
   * dead.
   */
  turn(batch: Uint8Array, time: number, storage?: Storage, log?: RoomLog, restored = 0): Uint8Array {
    const s = this.#state;
    s.time = BigInt(time) * 1_000_000n;
    if (s.time > s.monotonic) s.monotonic = s.time;
    this.#storage = storage;
    this.#log = log;
    try {
      return this.#call(turnFuel + connectionFuel * BigInt(restored), () => {
        const ptr = Number(this.#inbox(batch.length)) >>> 0;
        if (ptr === 0) throw new Trap("memory", "the room has no space for its batch of events");
        range(s, ptr, batch.length).set(batch);
        return this.#result(this.#turn(batch.length));
      });
    } finally {
      if (s.output !== "") log?.output(s.output);
      this.#storage = this.#log = this.#get = this.#list = undefined;
    }
  }

  #result(v: number | bigint): Uint8Array {
    const packed = BigInt.asUintN(64, BigInt(v));
    const n = Number(packed & 0xffff_ffffn);
    if (n > limits.maxEffects) throw new Trap("garbage", `${n} bytes of effects, at most ${limits.maxEffects}`);
    return range(this.#state, Number(packed >> 32n), n).slice();
  }

  #call<T>(fuel: bigint, f: () => T): T {
    if (this.dead) throw new Trap("panic", "the instance is dead");
    this.#state.polls = 0;
    this.#state.output = "";
    this.#state.exitCode = undefined;
    if (this.#fuel !== undefined) this.#fuel.value = fuel;
    try {
      return f();
    } catch (fault) {
      this.dead = true;
      throw this.#classify(fault);
    }
  }

  /** Turns what a call threw into a trap; the order is that of package runtime. */
  #classify(fault: unknown): Trap {
    const output = this.#state.output.trim();
    const message = fault instanceof Error ? fault.message : String(fault);
    if (fault instanceof Trap && (fault.trap !== "exit" || output === "")) return fault;
    if (this.#fuel !== undefined && this.#fuel.value < 0n) return new Trap("fuel", "the turn burnt more than its fuel");
    if (fault instanceof RangeError && message.includes("call stack"))
      return new Trap("stack", "the room recursed too deep");
    for (const [cause, texts] of fatalErrors) if (texts.some((t) => output.includes(t))) return new Trap(cause, output);
    if (this.#state.exitCode !== undefined && !/panic: |fatal error: /.test(output) && fault instanceof Trap)
      return fault;
    return new Trap("panic", output === "" ? message : output);
  }

  /** Charges a host call for bytes that it moves. */
  #pay(bytes: number): void {
    if (this.#fuel === undefined) return;
    this.#fuel.value -= BigInt(bytes >>> bulkShift);
    if (this.#fuel.value < 0n) throw new Trap("fuel", "the turn burnt more than its fuel");
  }

  #view(): Uint8Array<ArrayBuffer> {
    if (this.#bytes.buffer !== this.#memory.buffer) {
      this.#bytes = new Uint8Array(this.#memory.buffer);
      this.#data = new DataView(this.#memory.buffer);
    }
    return this.#bytes;
  }

  #imports(): WebAssembly.ModuleImports {
    const s = this.#state;
    return {
      storage_get: (key: number, keyLen: number, dst: number, cap: number): number => {
        const k = range(s, key, keyLen);
        if (k.length > limits.maxKey) throw new Trap("garbage", `storage_get: a key of ${k.length} bytes`);
        if (this.#get === undefined || compareBytes(this.#get.question, k) !== 0) {
          this.#pay(k.length);
          const question = k.slice();
          this.#get = { question, answer: read(() => this.#storage?.get(question)) };
        }
        return this.#get.answer === undefined ? -1 : this.#answer(this.#get.answer, dst, cap);
      },
      storage_list: (request: number, requestLen: number, dst: number, cap: number): number => {
        const q = range(s, request, requestLen);
        if (q.length > maxRequest) throw new Trap("garbage", `storage_list: a request of ${q.length} bytes`);
        if (this.#list === undefined || compareBytes(this.#list.question, q) !== 0) {
          this.#pay(q.length);
          const question = q.slice();
          this.#list = { question, answer: this.#rows(question) };
          this.#pay(this.#list.answer?.length ?? 0); // it was made, even if the guest never takes it
        }
        return this.#answer(this.#list.answer as Uint8Array, dst, cap);
      },
      log: (level: number, ptr: number, n: number): void => {
        const line = range(s, ptr, n).subarray(0, limits.maxLogLine);
        this.#pay(line.length);
        this.#log?.line(level, line);
      },
    };
  }

  #rows(question: Uint8Array): Uint8Array {
    let q: ReturnType<typeof listRequestOf>;
    try {
      q = listRequestOf(question);
    } catch (fault) {
      if (fault instanceof FieldError) throw new Trap("garbage", `storage_list: ${fault.message}`);
      throw fault;
    }
    return listResponseBytes(read(() => this.#storage?.list(q)) ?? { entries: [], more: false });
  }

  /** Copies an answer to the guest if it fits, and returns its length. */
  #answer(answer: Uint8Array, dst: number, cap: number): number {
    if (answer.length <= cap >>> 0) {
      this.#pay(answer.length);
      range(this.#state, dst, answer.length).set(answer);
    }
    return answer.length;
  }
}

/** A failing read is not the room's fault. */
function read<T>(f: () => T): T {
  try {
    return f();
  } catch (fault) {
    throw new Trap("storage", `storage: ${fault instanceof Error ? fault.message : String(fault)}`);
  }
}

/** What the Go runtime writes before it gives up. */
const fatalErrors: [Trap["trap"], string[]][] = [
  ["blocked", ["fatal error: all goroutines are asleep", "fatal error: no goroutines"]],
  ["stack", ["fatal error: stack overflow", "goroutine stack exceeds"]],
  ["memory", ["fatal error: runtime: out of memory", "fatal error: out of memory", "runtime: cannot allocate memory"]],
];

const required = { memory: "memory", oriel_inbox: "function", oriel_turn: "function", oriel_manifest: "function" };

/** Says in one line what does not fit. Signatures are checked when a module is prepared. */
function check(module: WebAssembly.Module, imports: WebAssembly.Imports): void {
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from.startsWith("oriel_room_v") && from !== importModule)
      throw new ModuleError(`the module speaks ${from}; this host speaks ${importModule}`);
    if (kind !== "function" || imports[from]?.[name] === undefined)
      throw new ModuleError(`the module imports the ${kind} ${from}.${name}, which no host gives`);
  }
  const exports = new Map(WebAssembly.Module.exports(module).map((e) => [e.name, e.kind as string]));
  for (const [name, kind] of Object.entries(required))
    if (exports.get(name) !== kind) throw new ModuleError(`the module does not export the ${kind} ${name}`);
}
