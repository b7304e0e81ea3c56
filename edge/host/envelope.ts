// What a socket's own attachment holds, so that a connection outlives its object's memory: the
// connection with the room's attachment inside, and the host's notes. At most 16,384 bytes by the
// platform's rule; the limits of the ABI come to less than 14,000 in all.

import { limits } from "./abi.gen.ts";
import { type Connection, decodeConnection, encodeConnection } from "./connection.ts";
import { Decoder, Encoder } from "./wire.ts";

/** The platform's limit for a socket's attachment, in bytes. */
export const maxEnvelope = 16_384;

/** `closing`: the room has closed it and has not heard the end. `gone`: it is no connection any more. */
export type EnvelopeState = "open" | "closing" | "gone";

export interface Envelope {
  state: EnvelopeState;
  /** Of a connection that is closing. */
  code: number;
  reason: string;
  /** When something was heard of the client, milliseconds since 1970, to 20 s. */
  heard: number;
  /** When the credential ends, or 0. */
  expires: number;
  connection: Connection;
}

const version = 1;
const states: readonly EnvelopeState[] = ["open", "closing", "gone"];

export function envelopeBytes(v: Envelope): Uint8Array {
  const e = new Encoder(512);
  e.byte(version);
  e.byte(states.indexOf(v.state));
  e.uvarint(v.code);
  e.string(v.reason);
  e.uvarint(v.heard);
  e.uvarint(v.expires);
  encodeConnection(e, v.connection);
  return e.bytes();
}

/** Decodes an envelope; undefined for anything else, such as an older version's. */
export function envelopeOf(b: unknown): Envelope | undefined {
  if (!(b instanceof Uint8Array)) return undefined;
  try {
    const d = new Decoder(b);
    if (d.byte("version") !== version) return undefined;
    const state = states[d.byte("state")];
    if (state === undefined) return undefined;
    const v = {
      state,
      code: d.uvarint("code", limits.maxCode),
      reason: d.string("reason", limits.maxCloseReason),
      heard: d.uvarint("heard", limits.maxTime),
      expires: d.uvarint("expires", limits.maxTime),
      connection: decodeConnection(d, "connection"),
    };
    d.end("envelope");
    return v;
  } catch {
    return undefined;
  }
}
