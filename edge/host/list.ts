import { limits } from "./abi.gen.ts";
import { Decoder, Encoder } from "./wire.ts";

/** Asks for rows in the order of their keys' bytes: start <= key < end. */
export interface ListRequest {
  start: Uint8Array;
  /** Empty means to the last row. */
  end: Uint8Array;
  limit: number;
  reverse: boolean;
}

export interface Entry {
  key: Uint8Array;
  value: Uint8Array;
}

/** `more` says that rows were left out because of the limit or the answer's size. */
export interface ListResponse {
  entries: Entry[];
  more: boolean;
}

export function listRequestBytes(q: ListRequest): Uint8Array {
  const e = new Encoder();
  e.data(q.start);
  e.data(q.end);
  e.uvarint(q.limit);
  e.bool(q.reverse);
  return e.bytes();
}

export function listRequestOf(b: Uint8Array): ListRequest {
  const d = new Decoder(b);
  const start = d.data("list.start", limits.maxBound);
  const end = d.data("list.end", limits.maxBound);
  const limit = d.uvarint("list.limit", limits.maxListEntries);
  if (limit === 0) d.limit("list.limit", "zero");
  const reverse = d.bool("list.reverse");
  d.end("list");
  return { start, end, limit, reverse };
}

export function listResponseBytes(r: ListResponse): Uint8Array {
  const e = new Encoder(1024);
  e.uvarint(r.entries.length);
  for (const row of r.entries) {
    e.data(row.key);
    e.data(row.value);
  }
  e.bool(r.more);
  return e.bytes();
}

export function listResponseOf(b: Uint8Array): ListResponse {
  const d = new Decoder(b);
  const entries: Entry[] = [];
  for (let n = d.count("list.entries", limits.maxListEntries, 2); n > 0; n--)
    entries.push({ key: d.data("list.key", limits.maxKey), value: d.data("list.value", limits.maxKeyValue) });
  const more = d.bool("list.more");
  d.end("list");
  return { entries, more };
}
