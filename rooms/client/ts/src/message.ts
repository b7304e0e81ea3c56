import { OrielError } from "./errors.ts";

/** A JSON value. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json | undefined };

/** What a message carries: a JSON value, opaque bytes, or nothing. */
export type Payload = Json | Uint8Array | undefined;

/** A place in a room's history; see section 5 of the protocol. */
export interface Place {
  readonly incarnation: string;
  readonly offset: number;
}

/** A user with at least one connection to the room. */
export interface Member {
  readonly user: string;
  readonly connections: number;
  /** What the kind says of the member, as it came: check it. */
  readonly data?: unknown;
}

/** How many are here. */
export interface Counts {
  readonly users: number;
  readonly connections: number;
}

/** What was published, or what the room itself has to say. */
export interface RoomEvent {
  readonly event: string;
  /** Its number in history; undefined for an ephemeral event. */
  readonly offset: number | undefined;
  /** Who published it; "" for the room itself and for anonymous clients. */
  readonly from: string;
  /** When the room accepted it, in milliseconds since 1970. */
  readonly time: number;
  /** A JSON value, a Uint8Array, or undefined. It comes from another user: check it. */
  readonly data: unknown;
}

/** An ephemeral message. */
export interface Signal {
  readonly event: string;
  readonly from: string;
  readonly data: unknown;
}

/** What another room or a backend says to the user. */
export interface Notification {
  readonly event: string;
  readonly data: unknown;
}

/** Begins the names of signals that are notifications. */
export const notifyPrefix = "oriel.notify.";

/** Why a client's place could not be gone on from. */
export type GapReason = "history" | "incarnation" | "ahead";

/** The room's answer to hello. */
export interface Welcome {
  /** The hello's, if it had one. */
  readonly id: number | undefined;
  /** The connection's name, for support and logs. */
  readonly connection: string;
  readonly session: string;
  /** The newest event's place. */
  readonly incarnation: string;
  readonly offset: number;
  /** The last number of the session that is consumed. */
  readonly seq: number;
  readonly resumed: boolean;
  readonly reason: GapReason | "new" | undefined;
  readonly members: readonly Member[] | undefined;
  readonly counts: Counts | undefined;
  /** Milliseconds; 0: none is asked for. */
  readonly heartbeat: number;
  /** The oldest event that is still in history. */
  readonly first: number;
  /** How long a disconnected session is kept, in milliseconds. */
  readonly keep: number;
  /** Bytes of the largest message, and how many publishes may be unanswered. */
  readonly limits: { readonly message: number; readonly open: number };
  readonly data: unknown;
}

/** One message of the room, checked. */
export type RoomMessage =
  | ({ readonly type: "welcome" } & Welcome)
  | { readonly type: "ack"; readonly seq: number; readonly offset: number | undefined }
  | {
      readonly type: "error";
      readonly seq: number | undefined;
      readonly id: number | undefined;
      readonly code: string;
      readonly message: string;
      readonly retry: number | undefined;
      readonly expected: number | undefined;
    }
  | { readonly type: "event"; readonly incarnation: string | undefined; readonly body: RoomEvent }
  | { readonly type: "response"; readonly id: number; readonly data: unknown }
  | { readonly type: "signal"; readonly body: Signal }
  | {
      readonly type: "presence";
      readonly join: readonly Member[];
      readonly leave: readonly string[];
      readonly members: readonly Member[] | undefined;
      readonly counts: Counts | undefined;
    }
  | { readonly type: "more"; readonly offset: number }
  | { readonly type: "pong" }
  | { readonly type: "resync" }
  | { readonly type: "unknown" };

type Fields = Record<string, unknown>;

/** The pings and the request for the next part, byte for byte. */
export const ping = '{"type":"ping"}';
export const more = '{"type":"more"}';

/**
 * A message of the client up to and with its payload. `head` holds the fields before it.
 * Throws an `invalid` OrielError if the data has no JSON form.
 */
export function encode(type: string, head: Fields, data: Payload): string {
  let payload: Fields = {};
  if (data instanceof Uint8Array) payload = { bytes: encodeBase64(data) };
  else if (data !== undefined) payload = { data };
  try {
    return JSON.stringify({ type, ...head, ...payload });
  } catch (cause) {
    throw new OrielError("invalid", "data has no JSON form", { cause, outcome: "unsent" });
  }
}

/** Makes a message whose number is not known yet; what it carries is fixed now. */
export function prepare(
  type: string,
  number: string,
  event: string,
  data: Payload,
): (n: number) => string {
  const start = `{"type":"${type}",`;
  const rest = encode(type, { event }, data).slice(start.length);
  return (n: number): string => `${start}"${number}":${n},${rest}`;
}

/** Reads one message of the room. Throws a `malformed` OrielError on what is none. */
export function decode(text: string): RoomMessage {
  let m: unknown;
  try {
    m = JSON.parse(text);
  } catch (cause) {
    throw new OrielError("malformed", "not JSON", { cause, action: "retry" });
  }
  const f = fields(m, "message");
  switch (f.type) {
    case "welcome":
      return {
        type: "welcome",
        id: optional(f, "id", integer),
        connection: string(f, "connection"),
        session: string(f, "session"),
        incarnation: string(f, "incarnation"),
        offset: integer(f, "offset"),
        seq: integer(f, "seq"),
        resumed: f.resumed === true,
        reason: optional(f, "reason", string) as Welcome["reason"],
        members: optional(f, "members", members),
        counts: optional(f, "counts", counts),
        heartbeat: integer(f, "heartbeat"),
        first: integer(f, "first"),
        keep: integer(f, "keep"),
        limits: limits(f),
        data: payload(f),
      };
    case "ack":
      return { type: "ack", seq: integer(f, "seq"), offset: optional(f, "offset", integer) };
    case "error":
      return {
        type: "error",
        seq: optional(f, "seq", integer),
        id: optional(f, "id", integer),
        code: string(f, "code"),
        message: optional(f, "message", string) ?? "",
        retry: optional(f, "retry", integer),
        expected: optional(f, "expected", integer),
      };
    case "event":
      return {
        type: "event",
        incarnation: optional(f, "incarnation", string),
        body: decodeEvent(f),
      };
    case "response":
      return { type: "response", id: integer(f, "id"), data: payload(f) };
    case "signal":
      return {
        type: "signal",
        body: {
          event: string(f, "event"),
          from: optional(f, "from", string) ?? "",
          data: payload(f),
        },
      };
    case "presence":
      return {
        type: "presence",
        join: optional(f, "join", members) ?? [],
        leave: (optional(f, "leave", list) ?? []).map((m) => string(fields(m, "leave"), "user")),
        members: optional(f, "members", members),
        counts: optional(f, "counts", counts),
      };
    case "more":
      return { type: "more", offset: integer(f, "offset") };
    case "pong":
    case "resync":
      return { type: f.type };
    default:
      string(f, "type");
      return { type: "unknown" };
  }
}

/** Reads an event, as an event message or the answer of a history request has it. */
export function decodeEvent(value: unknown): RoomEvent {
  const f = fields(value, "event");
  return {
    event: string(f, "event"),
    offset: optional(f, "offset", integer),
    from: optional(f, "from", string) ?? "",
    time: integer(f, "time"),
    data: payload(f),
  };
}

/** One page of history, oldest event first. */
export interface HistoryPage {
  readonly events: readonly RoomEvent[];
  /** There are others beyond, in the direction asked for. */
  readonly more: boolean;
}

/** Reads the answer of a history request. */
export function decodeHistory(value: unknown): HistoryPage {
  const f = fields(value, "history");
  return { events: list(f, "events").map(decodeEvent), more: f.more === true };
}

/** One page of a room's members, in the byte order of their names. */
export interface MembersPage {
  readonly members: readonly Member[];
  readonly more: boolean;
  readonly counts: Counts;
}

/** Reads the answer of a members request. */
export function decodeMembers(value: unknown): MembersPage {
  const f = fields(value, "members");
  return { members: members(f, "members"), more: f.more === true, counts: counts(f, "counts") };
}

function malformed(name: string): never {
  throw new OrielError("malformed", name, { action: "retry" });
}

function fields(value: unknown, name: string): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : malformed(name);
}

function string(f: Fields, name: string): string {
  const value = f[name];
  return typeof value === "string" ? value : malformed(name);
}

function integer(f: Fields, name: string): number {
  const value = f[name];
  return Number.isSafeInteger(value) && (value as number) >= 0
    ? (value as number)
    : malformed(name);
}

function list(f: Fields, name: string): readonly unknown[] {
  const value = f[name];
  return Array.isArray(value) ? value : malformed(name);
}

function optional<T>(f: Fields, name: string, read: (f: Fields, name: string) => T): T | undefined {
  return f[name] === undefined || f[name] === null ? undefined : read(f, name);
}

function members(f: Fields, name: string): readonly Member[] {
  return list(f, name).map((value) => {
    const m = fields(value, name);
    return { user: string(m, "user"), connections: integer(m, "connections"), data: m.data };
  });
}

function counts(f: Fields, name: string): Counts {
  const c = fields(f[name], name);
  return { users: integer(c, "users"), connections: integer(c, "connections") };
}

function limits(f: Fields): Welcome["limits"] {
  const l = fields(f.limits, "limits");
  return { message: integer(l, "message"), open: integer(l, "open") };
}

function payload(f: Fields): unknown {
  return typeof f.bytes === "string" ? decodeBase64(f.bytes) : f.data;
}

function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function decodeBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    return malformed("bytes");
  }
}
