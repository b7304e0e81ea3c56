import { type Decoder, isUTF8 } from "./wire.ts";

/** Whether a message is text (UTF-8) or binary. */
export type Encoding = "text" | "binary";

export function encodingNumber(e: Encoding): number {
  return e === "text" ? 1 : 2;
}

export function decodeEncoding(d: Decoder, field: string): Encoding {
  const n = d.byte(field);
  if (n !== 1 && n !== 2) d.malformed(field, "neither text nor binary");
  return n === 1 ? "text" : "binary";
}

/** Reads a payload of at most `limit` bytes; text has to be UTF-8. */
export function decodePayload(d: Decoder, field: string, encoding: Encoding, limit: number): Uint8Array {
  const data = d.data(field, limit);
  if (encoding === "text" && !isUTF8(data)) d.malformed(field, "text is not UTF-8");
  return data;
}
