// The primitives of the turn's codec (rooms/abi/ABI.md): unsigned LEB128 integers in their
// shortest form, lengths before bytes. Every decoder is strict and never reads past its input.

/** Why bytes were refused: `malformed` is no encoding at all, `limit` crosses a limit. */
export type FaultKind = "malformed" | "limit";

/** A fault in one field of an encoding, named as in ABI.md, such as `broadcast.data`. */
export class FieldError extends Error {
  readonly kind: FaultKind;
  readonly field: string;

  constructor(kind: FaultKind, field: string, reason: string) {
    super(`abi: ${kind === "limit" ? "limit exceeded" : "malformed"}: ${field}: ${reason}`);
    this.name = "FieldError";
    this.kind = kind;
    this.field = field;
  }
}

/** The greatest integer of the codec. */
export const maxUint64 = (1n << 64n) - 1n;

/**
 * Strings below so many bytes are coded here if they are ASCII, as names, protocols and most users are:
 * TextEncoder and TextDecoder cost more to call than that. Below 128, so that the length is one byte.
 */
const shortText = 64;

/** The string of a few ASCII bytes; undefined for others. */
function asciiOf(b: Uint8Array): string | undefined {
  if (b.length >= shortText) return undefined;
  let s = "";
  for (const c of b) {
    if (c >= 0x80) return undefined;
    s += String.fromCharCode(c);
  }
  return s;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const empty = new Uint8Array(0);

/** The bytes of a string, as UTF-8. */
export function bytesOf(s: string): Uint8Array {
  return encoder.encode(s);
}

/** The string of UTF-8 bytes. Throws a TypeError if they are not UTF-8. */
export function stringOf(b: Uint8Array): string {
  return utf8.decode(b);
}

/** The number of bytes of a string as UTF-8, found without making them. */
export function byteLength(s: string): number {
  let n = s.length;
  for (let i = 0; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c < 0x80) continue;
    if (c < 0x800) n += 1;
    else if (c >= 0xd800 && c < 0xdc00 && i + 1 < s.length) {
      n += 2; // two units, four bytes
      i++;
    } else n += 2;
  }
  return n;
}

/** Compares as memcmp does: below zero, zero or above. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const d = (a[i] as number) - (b[i] as number);
    if (d !== 0) return d;
  }
  return a.length - b.length;
}

/** Writes the primitives into one growing buffer. */
export class Encoder {
  #b: Uint8Array;
  #n = 0;

  constructor(capacity = 256) {
    this.#b = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#n;
  }

  /** What was written; valid until the next write. */
  view(): Uint8Array {
    return this.#b.subarray(0, this.#n);
  }

  /** A copy of what was written. */
  bytes(): Uint8Array {
    return this.#b.slice(0, this.#n);
  }

  reset(): void {
    this.#n = 0;
  }

  #room(n: number): void {
    const need = this.#n + n;
    if (need <= this.#b.length) return;
    const b = new Uint8Array(Math.max(need, this.#b.length * 2));
    b.set(this.view());
    this.#b = b;
  }

  byte(v: number): void {
    this.#room(1);
    this.#b[this.#n++] = v;
  }

  bool(v: boolean): void {
    this.byte(v ? 1 : 0);
  }

  uvarint(v: number | bigint): void {
    this.#room(10);
    let n: number;
    if (typeof v === "bigint") {
      if (v < 0n || v > maxUint64) throw new RangeError("not an unsigned 64-bit integer");
      while (v > 0xffff_ffffn) {
        this.#b[this.#n++] = Number(v & 0x7fn) | 0x80;
        v >>= 7n;
      }
      n = Number(v);
    } else {
      if (!Number.isSafeInteger(v) || v < 0) throw new RangeError("not an unsigned integer");
      n = v;
      while (n > 0x7fff_ffff) {
        this.#b[this.#n++] = (n % 128) | 0x80;
        n = Math.floor(n / 128);
      }
    }
    while (n >= 0x80) {
      this.#b[this.#n++] = (n & 0x7f) | 0x80;
      n = n > 0x7fff_ffff ? Math.floor(n / 128) : n >> 7;
    }
    this.#b[this.#n++] = n;
  }

  fixed(v: Uint8Array): void {
    this.#room(v.length);
    this.#b.set(v, this.#n);
    this.#n += v.length;
  }

  data(v: Uint8Array): void {
    this.uvarint(v.length);
    this.fixed(v);
  }

  string(v: string): void {
    if (v.length >= shortText || !this.#ascii(v)) this.data(encoder.encode(v));
  }

  /** Writes a short string with its length before it, if it is all ASCII. */
  #ascii(v: string): boolean {
    this.#room(1 + v.length);
    let at = this.#n + 1;
    for (let i = 0; i < v.length; i++) {
      const c = v.charCodeAt(i);
      if (c >= 0x80) return false;
      this.#b[at++] = c;
    }
    this.#b[this.#n] = v.length;
    this.#n = at;
    return true;
  }

  /** Writes what `fill` writes, with its length before it. */
  sized(fill: () => void): void {
    const at = this.#n;
    this.byte(0);
    fill();
    const n = this.#n - at - 1;
    if (n < 0x80) {
      this.#b[at] = n;
      return;
    }
    const extra = uvarintLength(n) - 1;
    this.#room(extra);
    this.#b.copyWithin(at + 1 + extra, at + 1, this.#n);
    const end = this.#n + extra;
    this.#n = at;
    this.uvarint(n);
    this.#n = end;
  }
}

/** The number of bytes of an integer's encoding. */
export function uvarintLength(v: number): number {
  let n = 1;
  while (v >= 0x80) {
    v = Math.floor(v / 128);
    n++;
  }
  return n;
}

/** Reads the primitives. Faults are thrown as {@link FieldError}. */
export class Decoder {
  readonly #b: Uint8Array;
  #at: number;
  readonly #end: number;

  constructor(b: Uint8Array, from = 0, to = b.length) {
    this.#b = b;
    this.#at = from;
    this.#end = to;
  }

  /** The number of bytes that are left. */
  get left(): number {
    return this.#end - this.#at;
  }

  malformed(field: string, reason: string): never {
    throw new FieldError("malformed", field, reason);
  }

  limit(field: string, reason: string): never {
    throw new FieldError("limit", field, reason);
  }

  /** Refuses bytes that are left. */
  end(field: string): void {
    if (this.left > 0) this.malformed(field, "trailing bytes");
  }

  byte(field: string): number {
    if (this.#at >= this.#end) this.malformed(field, "cut short");
    return this.#b[this.#at++] as number;
  }

  bool(field: string): boolean {
    const v = this.byte(field);
    if (v > 1) this.malformed(field, "not 0 or 1");
    return v === 1;
  }

  /** Reads an integer of at most `limit`, which is at most 2^53-1. */
  uvarint(field: string, limit: number): number {
    let v = 0;
    let scale = 1;
    for (let i = 0; this.#at + i < this.#end; i++) {
      const c = this.#b[this.#at + i] as number;
      if (i === 9 && c > 1) this.malformed(field, "integer over 64 bits");
      v += (c & 0x7f) * scale; // beyond 2^53 it is not exact, and beyond every limit
      scale *= 128;
      if (c < 0x80) {
        if (c === 0 && i > 0) this.malformed(field, "integer not in its shortest form");
        if (v > limit) this.limit(field, "too large");
        this.#at += i + 1;
        return v;
      }
    }
    this.malformed(field, "cut short");
  }

  /** Reads an integer of up to 64 bits. */
  uint64(field: string): bigint {
    let low = 0;
    let scale = 1;
    let v = 0n;
    for (let i = 0; this.#at + i < this.#end; i++) {
      const c = this.#b[this.#at + i] as number;
      if (i === 9 && c > 1) this.malformed(field, "integer over 64 bits");
      if (i < 7) {
        low += (c & 0x7f) * scale;
        scale *= 128;
      } else v |= BigInt(c & 0x7f) << BigInt(7 * i);
      if (c < 0x80) {
        if (c === 0 && i > 0) this.malformed(field, "integer not in its shortest form");
        this.#at += i + 1;
        return v | BigInt(low);
      }
    }
    this.malformed(field, "cut short");
  }

  /** Reads n bytes; the result shares memory with the input. */
  fixed(field: string, n: number): Uint8Array {
    if (this.left < n) this.malformed(field, "cut short");
    if (n === 0) return empty;
    this.#at += n;
    return this.#b.subarray(this.#at - n, this.#at);
  }

  /** Reads a length and so many bytes; the result shares memory with the input. */
  data(field: string, limit: number): Uint8Array {
    return this.fixed(field, this.uvarint(field, limit));
  }

  /** Reads a length, and returns a decoder of so many bytes. */
  sized(field: string, limit: number): Decoder {
    const n = this.uvarint(field, limit);
    if (this.left < n) this.malformed(field, "cut short");
    this.#at += n;
    return new Decoder(this.#b, this.#at - n, this.#at);
  }

  string(field: string, limit: number): string {
    const v = this.data(field, limit);
    const short = asciiOf(v);
    if (short !== undefined) return short;
    try {
      return utf8.decode(v);
    } catch {
      return this.malformed(field, "not UTF-8");
    }
  }

  /** Reads the length of a list whose items take at least `size` bytes each. */
  count(field: string, limit: number, size = 1): number {
    const n = this.uvarint(field, limit);
    if (n > Math.floor(this.left / size)) this.malformed(field, "count beyond the input");
    return n;
  }
}

/** Reports whether bytes are UTF-8. */
export function isUTF8(b: Uint8Array): boolean {
  try {
    utf8.decode(b);
    return true;
  } catch {
    return false;
  }
}
