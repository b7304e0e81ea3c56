// What the front worker says of an admitted request. It travels in one header, which the front
// always sets itself; an object has no other way in than the front and other objects.

import { limits } from "./abi.gen.ts";
import { validName } from "./name.ts";
import { byteLength } from "./wire.ts";

/** The header's name. */
export const visitHeader = "oriel-visit";

/** The fields of a request that a room sees; credentials are not among them. */
export const roomHeaders: readonly string[] = ["accept", "content-type", "idempotency-key"];

/**
 * `socket` opens a connection, `wait` a socket whose credential is to be its first message, `request` is for
 * the room, `told` is another room's message.
 */
export type VisitKind = "socket" | "wait" | "request" | "told" | "report";

export interface Visit {
  to: VisitKind;
  kind: string;
  room: string;
  /** The verified identity; empty for an anonymous client. */
  user: string;
  /** A JSON object, or empty. */
  claims: string;
  /** The subprotocol to agree on, or empty. */
  protocol: string;
  address: string;
  /** When the credential ends, milliseconds since 1970, or 0. */
  expires: number;
  /** The query as sent, without credentials. */
  query: string;
  /** What follows the room's name in the path. */
  path: string;
  /** Who tells, and the number of the message. */
  fromKind: string;
  fromRoom: string;
  id: string;
}

const nobody: Visit = {
  to: "request",
  kind: "",
  room: "",
  user: "",
  claims: "",
  protocol: "",
  address: "",
  expires: 0,
  query: "",
  path: "",
  fromKind: "",
  fromRoom: "",
  id: "0",
};

/**
 * What a header does not hold as it is: anything but printable ASCII. And percent signs, because objects of a version before
 * this one, which run on for a while after a deployment, decode them.
 */
const beyond = /[^ -$&-~]/g;

const fields = Object.entries(nobody) as [keyof Visit, string | number][];

/** The header's value: JSON in ASCII. */
export function visitValue(v: Partial<Visit>): string {
  return JSON.stringify(v).replace(beyond, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Reads the header; undefined if it is missing or not a visit. */
export function visitOf(headers: Headers): Visit | undefined {
  const value = headers.get(visitHeader);
  if (value === null) return undefined;
  try {
    return visitFrom(JSON.parse(value));
  } catch {
    return undefined;
  }
}

/** Checks what may be a visit; undefined if it is none. */
export function visitFrom(json: unknown): Visit | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  const v = { ...nobody, ...json } as Visit;
  for (const [name, want] of fields) if (typeof v[name] !== typeof want) return undefined;
  if (!validName(v.kind) || !validName(v.room)) return undefined;
  if (byteLength(v.user) > limits.maxUser || byteLength(v.claims) > limits.maxClaims) return undefined;
  return v;
}
