import { limits } from "./abi.gen.ts";
import type { Decoder, Encoder } from "./wire.ts";

/** What the host knows of a client attached to the room. */
export interface Connection {
  /** Unique among the room's connections for ever; never 0. */
  id: bigint;
  /** The verified identity; empty for an anonymous client. */
  user: string;
  /** A JSON object of what the credential says beside the identity, or empty. */
  claims: Uint8Array;
  /** The WebSocket subprotocol, or empty. */
  protocol: string;
  /** The time of the connect event, milliseconds since 1970. */
  since: number;
  /** Set in the connect turn; they never change. */
  tags: string[];
  /** The room's own data about the connection. */
  attachment: Uint8Array;
  /** Left out of broadcasts. */
  muted: boolean;
}

/** The shortest encoding: eight fields of one byte each. */
export const minConnection = 8;

export function encodeConnection(e: Encoder, c: Connection): void {
  e.uvarint(c.id);
  e.string(c.user);
  e.data(c.claims);
  e.string(c.protocol);
  e.uvarint(c.since);
  encodeTags(e, c.tags);
  e.data(c.attachment);
  e.bool(c.muted);
}

export function decodeConnection(d: Decoder, field: string): Connection {
  return {
    id: decodeID(d, field),
    user: d.string(field, limits.maxUser),
    claims: d.data(field, limits.maxClaims),
    protocol: d.string(field, limits.maxProtocol),
    since: d.uvarint(field, limits.maxTime),
    tags: decodeTags(d, field),
    attachment: d.data(field, limits.maxAttachment),
    muted: d.bool(field),
  };
}

export function decodeID(d: Decoder, field: string): bigint {
  const id = d.uint64(field);
  if (id === 0n) d.malformed(field, "zero");
  return id;
}

export function encodeTags(e: Encoder, tags: readonly string[]): void {
  e.uvarint(tags.length);
  for (const t of tags) e.string(t);
}

export function decodeTags(d: Decoder, field: string): string[] {
  const tags: string[] = [];
  for (let n = d.count(field, limits.maxTags); n > 0; n--) tags.push(d.string(field, limits.maxTag));
  return tags;
}
