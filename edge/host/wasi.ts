// The 16 functions of WASI preview 1 that the runtime of Go imports, and no others. A room has no
// files, no arguments, and no way to wait; every function on files answers EBADF.

import { Trap } from "./trap.ts";

/** The import module's name. */
export const wasiModule = "wasi_snapshot_preview1";

const ok = 0;
const badFile = 8;
const invalid = 28;

/** Paces the guest's collector: rooms are many and small. */
const environment = "GOGC=25\0";

/** Bounds what is kept of standard output and error in one turn. */
const maxOutput = 16 << 10;
/** Bounds the short waits of one turn. A panic of Go needs one. */
const maxPolls = 8;
/** The longest wait that is let through: 1 ms, because Go sleeps that long before a panic. */
const maxPoll = 1_000_000n;

/** What the functions of one instance need to know. */
export interface WasiState {
  /** The guest's memory, and a view of it that is fresh after it grew. */
  memory(): Uint8Array<ArrayBuffer>;
  view(): DataView;
  /** The wall clock, nanoseconds: the turn's time. */
  time: bigint;
  /** The monotonic clock, nanoseconds: it never goes back, and moves with turns and polls. */
  monotonic: bigint;
  /** Charges a call for bytes that it moves; may end the turn. */
  pay(bytes: number): void;
  polls: number;
  /** What the guest wrote in this turn. */
  output: string;
  exitCode: number | undefined;
}

const decoder = new TextDecoder();

/** The imports for a guest with this state. */
export function wasiImports(s: WasiState): WebAssembly.ModuleImports {
  const noFile = () => badFile;
  const none = (a: number, b: number) => {
    s.view().setUint32(a, 0, true);
    s.view().setUint32(b, 0, true);
    return ok;
  };
  return {
    args_sizes_get: none,
    args_get: () => ok,
    environ_sizes_get(count: number, size: number) {
      s.view().setUint32(count, 1, true);
      s.view().setUint32(size, environment.length, true);
      return ok;
    },
    environ_get(pointers: number, buffer: number) {
      s.view().setUint32(pointers, buffer, true);
      for (let i = 0; i < environment.length; i++) s.view().setUint8(buffer + i, environment.charCodeAt(i));
      return ok;
    },
    clock_time_get(id: number, _precision: bigint, out: number) {
      if (id !== 0 && id !== 1) return invalid;
      s.view().setBigUint64(out, id === 0 ? s.time : s.monotonic, true);
      return ok;
    },
    random_get(ptr: number, n: number) {
      const b = range(s, ptr, n);
      s.pay(b.length);
      for (let at = 0; at < n; at += 65536) crypto.getRandomValues(b.subarray(at, Math.min(n, at + 65536)));
      return ok;
    },
    sched_yield: () => ok,
    proc_exit(code: number) {
      s.exitCode = code;
      throw new Trap("exit", `the room exited with code ${code}`);
    },
    fd_write(fd: number, vectors: number, n: number, written: number) {
      if (fd !== 1 && fd !== 2) return badFile;
      if (n >>> 0 > 1024) return invalid; // IOV_MAX of most systems
      s.pay(128 * n); // there may be nothing in them
      let total = 0;
      for (let i = 0; i < n; i++) {
        const ptr = s.view().getUint32(vectors + 8 * i, true);
        const size = s.view().getUint32(vectors + 8 * i + 4, true);
        s.pay(size);
        const kept = Math.min(size, maxOutput - s.output.length);
        if (kept > 0) s.output += decoder.decode(range(s, ptr, size).subarray(0, kept));
        total += size;
      }
      s.view().setUint32(written, total, true);
      return ok;
    },
    poll_oneoff(subscriptions: number, events: number, n: number, count: number) {
      const v = s.view();
      if (n !== 1) throw new Trap("blocked", `the room waits for ${n} things`);
      if (v.getUint8(subscriptions + 8) !== 0) throw new Trap("blocked", "the room waits for a file");
      let timeout = v.getBigUint64(subscriptions + 24, true);
      if ((v.getUint16(subscriptions + 40, true) & 1) !== 0) {
        const now = v.getUint32(subscriptions + 16, true) === 0 ? s.time : s.monotonic;
        timeout = timeout > now ? timeout - now : 0n;
      }
      if (timeout > 0n) s.polls++; // the scheduler of Go looks for work with a timeout of 0, as often as it likes
      if (timeout > maxPoll || s.polls > maxPolls)
        throw new Trap("blocked", "the room sleeps or waits; a turn has to end by itself");
      s.monotonic += timeout;
      range(s, events, 32).fill(0);
      v.setBigUint64(events, v.getBigUint64(subscriptions, true), true);
      v.setUint32(count, 1, true);
      return ok;
    },
    fd_close: noFile,
    fd_read: noFile,
    fd_fdstat_get: noFile,
    fd_fdstat_set_flags: noFile,
    fd_prestat_get: noFile,
    fd_prestat_dir_name: noFile,
  };
}

/** Bytes of the guest's memory; a pointer that leads outside is a trap. */
export function range(s: Pick<WasiState, "memory">, ptr: number, n: number): Uint8Array<ArrayBuffer> {
  const from = ptr >>> 0;
  const to = from + (n >>> 0);
  const memory = s.memory();
  if (to > memory.length) throw new Trap("garbage", "a pointer leads outside of the memory");
  return memory.subarray(from, to);
}
