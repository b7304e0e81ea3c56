import { limits } from "./abi.gen.ts";
import type { Decoder, Encoder } from "./wire.ts";

/** One field of an HTTP request or answer. */
export interface Header {
  name: string;
  value: string;
}

/**
 * Follows RFC 9110, section 5: a token, and a value without control characters, so that a room
 * cannot split an HTTP answer.
 */
export function validHeader(h: Header): boolean {
  if (h.name === "") return false;
  for (let i = 0; i < h.name.length; i++) {
    const c = h.name.charCodeAt(i);
    if (c <= 0x20 || c >= 0x7f || ':"(),/;<=>?@[\\]{}'.includes(h.name.charAt(i))) return false;
  }
  for (let i = 0; i < h.value.length; i++) {
    const c = h.value.charCodeAt(i);
    if ((c < 0x20 && c !== 9) || c === 0x7f) return false;
  }
  return true;
}

export function encodeHeaders(e: Encoder, list: readonly Header[]): void {
  e.uvarint(list.length);
  for (const h of list) {
    e.string(h.name);
    e.string(h.value);
  }
}

export function decodeHeaders(d: Decoder, field: string): Header[] {
  const list: Header[] = [];
  for (let n = d.count(field, limits.maxHeaders); n > 0; n--) {
    const h = { name: d.string(field, limits.maxHeader), value: d.string(field, limits.maxHeader) };
    if (!validHeader(h)) d.malformed(field, "not a header field");
    list.push(h);
  }
  return list;
}
