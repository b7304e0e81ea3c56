// What happened: the events of a turn and their encoding.

import { eventTypes, limits, startReasons } from "./abi.gen.ts";
import { type Connection, decodeConnection, decodeID, encodeConnection, minConnection } from "./connection.ts";
import { decodeEncoding, decodePayload, type Encoding, encodingNumber } from "./encoding.ts";
import { decodeHeaders, encodeHeaders, type Header } from "./header.ts";
import { validName } from "./name.ts";
import { Decoder, Encoder } from "./wire.ts";

export type StartReason = keyof typeof startReasons;

/** The first event that a room's memory sees. Its list of connections is complete. */
export interface StartEvent {
  type: "start";
  kind: string;
  room: string;
  reason: StartReason;
  /** The token of the ownership under which the room runs. */
  term: string;
  /** The time of the room's alarm, or 0. */
  alarm: number;
  connections: Connection[];
}

/** Asks for admission of a client whose identity is verified. */
export interface ConnectEvent {
  type: "connect";
  connection: Connection;
  query: string;
  address: string;
}

export interface MessageEvent {
  type: "message";
  connection: bigint;
  encoding: Encoding;
  data: Uint8Array;
}

export interface CloseEvent {
  type: "close";
  connection: bigint;
  code: number;
  reason: string;
  clean: boolean;
}

export interface AlarmEvent {
  type: "alarm";
  scheduled: number;
  attempt: number;
}

export interface TickEvent {
  type: "tick";
  missed: number;
}

export interface RequestEvent {
  type: "request";
  id: bigint;
  method: string;
  path: string;
  query: string;
  user: string;
  claims: Uint8Array;
  headers: Header[];
  body: Uint8Array;
}

/** Hands back an event that did not happen. */
export interface RejectedEvent {
  type: "rejected";
  code: number;
  /** The encoding of the original event. */
  event: Uint8Array;
}

export interface ForgetEvent {
  type: "forget";
}

/** What another room said, at least once; the room's name and the id together name it. */
export interface ToldEvent {
  type: "told";
  fromKind: string;
  fromRoom: string;
  id: bigint;
  data: Uint8Array;
}

/** Whether a user is online. */
export interface UserState {
  user: string;
  online: boolean;
}

/** Says of users whom the room watches whether they are online: the newest state of each. */
export interface PresenceEvent {
  type: "presence";
  users: UserState[];
}

/** What a room, or a backend, says to the user of a connection. */
export interface NotifiedEvent {
  type: "notified";
  connection: bigint;
  /** The room that says it; both are empty for a backend. */
  fromKind: string;
  fromRoom: string;
  /** What it is about. */
  event: string;
  encoding: Encoding;
  data: Uint8Array;
}

export type RoomEvent =
  | StartEvent
  | ConnectEvent
  | MessageEvent
  | CloseEvent
  | AlarmEvent
  | TickEvent
  | RequestEvent
  | RejectedEvent
  | ForgetEvent
  | ToldEvent
  | PresenceEvent
  | NotifiedEvent;

/** Writes an event: its size, its type and its fields. */
export function encodeEvent(e: Encoder, v: RoomEvent): void {
  e.sized(() => {
    e.byte(eventTypes[v.type]);
    encodeFields(e, v);
  });
}

/** The encoding of one event. */
export function eventBytes(v: RoomEvent): Uint8Array {
  const e = new Encoder();
  encodeEvent(e, v);
  return e.bytes();
}

function encodeFields(e: Encoder, v: RoomEvent): void {
  switch (v.type) {
    case "start":
      e.string(v.kind);
      e.string(v.room);
      e.byte(startReasons[v.reason]);
      e.string(v.term);
      e.uvarint(v.alarm);
      e.uvarint(v.connections.length);
      for (const c of v.connections) encodeConnection(e, c);
      return;
    case "connect":
      encodeConnection(e, v.connection);
      e.string(v.query);
      e.string(v.address);
      return;
    case "message":
      e.uvarint(v.connection);
      e.byte(encodingNumber(v.encoding));
      e.data(v.data);
      return;
    case "close":
      e.uvarint(v.connection);
      e.uvarint(v.code);
      e.string(v.reason);
      e.bool(v.clean);
      return;
    case "alarm":
      e.uvarint(v.scheduled);
      e.uvarint(v.attempt);
      return;
    case "tick":
      e.uvarint(v.missed);
      return;
    case "request":
      e.uvarint(v.id);
      e.string(v.method);
      e.string(v.path);
      e.string(v.query);
      e.string(v.user);
      e.data(v.claims);
      encodeHeaders(e, v.headers);
      e.data(v.body);
      return;
    case "rejected":
      e.uvarint(v.code);
      e.data(v.event);
      return;
    case "forget":
      return;
    case "told":
      e.string(v.fromKind);
      e.string(v.fromRoom);
      e.uvarint(v.id);
      e.data(v.data);
      return;
    case "presence":
      e.uvarint(v.users.length);
      for (const u of v.users) {
        e.string(u.user);
        e.bool(u.online);
      }
      return;
    case "notified":
      e.uvarint(v.connection);
      e.string(v.fromKind);
      e.string(v.fromRoom);
      e.string(v.event);
      e.byte(encodingNumber(v.encoding));
      e.data(v.data);
      return;
  }
}

const typeNames = new Map<number, RoomEvent["type"]>(
  Object.entries(eventTypes).map(([name, n]) => [n, name as RoomEvent["type"]]),
);

const reasonNames = new Map<number, StartReason>(
  Object.entries(startReasons).map(([name, n]) => [n, name as StartReason]),
);

/** Decodes one event that fills b. Byte fields share memory with b. */
export function eventOf(b: Uint8Array): RoomEvent {
  const d = new Decoder(b);
  const v = decodeEvent(d);
  d.end("event");
  return v;
}

/** Reads one event. */
export function decodeEvent(outer: Decoder): RoomEvent {
  const d = outer.sized("event", limits.maxBatch);
  const n = d.byte("event.type");
  const type = typeNames.get(n);
  if (type === undefined) return d.malformed("event.type", `unknown event_${n}`);
  const v = decodeFields(d, type);
  d.end(`event.${type}`);
  return v;
}

function decodeFields(d: Decoder, type: RoomEvent["type"]): RoomEvent {
  switch (type) {
    case "start":
      return decodeStart(d);
    case "connect":
      return {
        type,
        connection: decodeConnection(d, "connect.connection"),
        query: d.string("connect.query", limits.maxQuery),
        address: d.string("connect.address", limits.maxAddress),
      };
    case "message": {
      const connection = decodeID(d, "message.connection");
      const encoding = decodeEncoding(d, "message.encoding");
      return { type, connection, encoding, data: decodePayload(d, "message.data", encoding, limits.maxMessage) };
    }
    case "close":
      return {
        type,
        connection: decodeID(d, "close.connection"),
        code: d.uvarint("close.code", limits.maxCode),
        reason: d.string("close.reason", limits.maxCloseReason),
        clean: d.bool("close.clean"),
      };
    case "alarm":
      return {
        type,
        scheduled: d.uvarint("alarm.scheduled", limits.maxTime),
        attempt: d.uvarint("alarm.attempt", limits.maxAttempt),
      };
    case "tick":
      return { type, missed: d.uvarint("tick.missed", limits.maxMissed) };
    case "request":
      return decodeRequest(d);
    case "rejected":
      return {
        type,
        code: d.uvarint("rejected.code", limits.maxCode),
        event: d.data("rejected.event", limits.maxBatch),
      };
    case "forget":
      return { type };
    case "told":
      return {
        type,
        fromKind: decodeName(d, "told.from_kind"),
        fromRoom: decodeName(d, "told.from_room"),
        id: d.uint64("told.id"),
        data: d.data("told.data", limits.maxTell),
      };
    case "presence": {
      const users: UserState[] = [];
      for (let n = d.count("presence.users", limits.maxWatches, 3); n > 0; n--)
        users.push({ user: decodeUser(d, "presence.users"), online: d.bool("presence.users") });
      return { type, users };
    }
    case "notified":
      return decodeNotified(d);
  }
}

function decodeNotified(d: Decoder): NotifiedEvent {
  const connection = decodeID(d, "notified.connection");
  const fromKind = d.string("notified.from_kind", limits.maxName);
  const fromRoom = d.string("notified.from_room", limits.maxName);
  if (fromKind !== "" || fromRoom !== "") {
    if (!validName(fromKind)) d.malformed("notified.from_kind", "not a name");
    if (!validName(fromRoom)) d.malformed("notified.from_room", "not a name");
  }
  const event = decodeNotification(d, "notified.event");
  const encoding = decodeEncoding(d, "notified.encoding");
  const data = decodePayload(d, "notified.data", encoding, limits.maxNotify);
  return { type: "notified", connection, fromKind, fromRoom, event, encoding, data };
}

export function decodeUser(d: Decoder, field: string): string {
  const s = d.string(field, limits.maxUser);
  if (s === "") d.malformed(field, "empty");
  return s;
}

const notification = /^[!#-[\]-~]{1,48}$/;

/** Reports whether s may name what a notification is about. */
export function validNotification(s: string): boolean {
  return notification.test(s);
}

export function decodeNotification(d: Decoder, field: string): string {
  const s = d.string(field, limits.maxNotification);
  if (!validNotification(s)) d.malformed(field, "not 1 to 48 printable characters");
  return s;
}

function decodeStart(d: Decoder): StartEvent {
  const kind = decodeName(d, "start.kind");
  const room = decodeName(d, "start.room");
  const reason = reasonNames.get(d.byte("start.reason"));
  if (reason === undefined) return d.malformed("start.reason", "unknown");
  const term = d.string("start.term", limits.maxTerm);
  const alarm = d.uvarint("start.alarm", limits.maxTime);
  const connections: Connection[] = [];
  for (let n = d.count("start.connections", limits.maxConnections, minConnection); n > 0; n--)
    connections.push(decodeConnection(d, "start.connections"));
  return { type: "start", kind, room, reason, term, alarm, connections };
}

function decodeRequest(d: Decoder): RequestEvent {
  const id = decodeID(d, "request.id");
  const method = d.string("request.method", limits.maxMethod);
  const path = d.string("request.path", limits.maxPath);
  if (path !== "" && path[0] !== "/") d.malformed("request.path", "does not start with /");
  return {
    type: "request",
    id,
    method,
    path,
    query: d.string("request.query", limits.maxQuery),
    user: d.string("request.user", limits.maxUser),
    claims: d.data("request.claims", limits.maxClaims),
    headers: decodeHeaders(d, "request.headers"),
    body: d.data("request.body", limits.maxBody),
  };
}

export function decodeName(d: Decoder, field: string): string {
  const s = d.string(field, limits.maxName);
  if (!validName(s)) d.malformed(field, "not a name");
  return s;
}
