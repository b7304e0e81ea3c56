// What the room wants: the effects of a turn and their encoding.

import { effectTypes, limits } from "./abi.gen.ts";
import { sendable } from "./code.ts";
import { decodeID, decodeTags, encodeTags } from "./connection.ts";
import { decodeEncoding, decodePayload, type Encoding, encodingNumber } from "./encoding.ts";
import { decodeName, decodeNotification, decodeUser } from "./event.ts";
import { decodeHeaders, encodeHeaders, type Header } from "./header.ts";
import { compareBytes, type Decoder, type Encoder } from "./wire.ts";

export interface SendEffect {
  type: "send";
  connection: bigint;
  encoding: Encoding;
  /** The conflation key, or empty. */
  key: string;
  data: Uint8Array;
}

/** One message to every connection that is not muted and passes all the filters. */
export interface BroadcastEffect {
  type: "broadcast";
  encoding: Encoding;
  protocol: string;
  tag: string;
  key: string;
  except: bigint[];
  data: Uint8Array;
}

/** Ends a connection; in the turn of its connect event it refuses the client. */
export interface CloseEffect {
  type: "close";
  connection: bigint;
  code: number;
  reason: string;
}

export interface PutEffect {
  type: "put";
  key: Uint8Array;
  value: Uint8Array;
}

export interface DeleteEffect {
  type: "delete";
  key: Uint8Array;
}

/** Removes the rows from start up to, not including, end; an empty end means to the last. */
export interface DeleteRangeEffect {
  type: "delete_range";
  start: Uint8Array;
  end: Uint8Array;
}

/** Sets the room's one alarm, milliseconds since 1970; 0 clears it. */
export interface AlarmEffect {
  type: "alarm";
  time: number;
}

export interface AttachEffect {
  type: "attach";
  connection: bigint;
  data: Uint8Array;
}

export interface TagsEffect {
  type: "tags";
  connection: bigint;
  tags: string[];
}

export interface MuteEffect {
  type: "mute";
  connection: bigint;
  muted: boolean;
}

/** Asks for ticks every interval milliseconds; 0 stops them. */
export interface TickEffect {
  type: "tick";
  interval: number;
}

export interface RespondEffect {
  type: "respond";
  request: bigint;
  status: number;
  headers: Header[];
  body: Uint8Array;
}

export interface TellEffect {
  type: "tell";
  kind: string;
  room: string;
  data: Uint8Array;
}

/** Marks the place among the effects from which broadcasts reach a new connection. */
export interface JoinEffect {
  type: "join";
  connection: bigint;
}

/** Has the room told whether a user is online, at every change, or no more. */
export interface WatchEffect {
  type: "watch";
  user: string;
  on: boolean;
}

/** Says something to a user, once on each device. */
export interface NotifyEffect {
  type: "notify";
  user: string;
  /** What it is about. */
  event: string;
  encoding: Encoding;
  data: Uint8Array;
}

export type WriteEffect = PutEffect | DeleteEffect | DeleteRangeEffect;

/** Effects that are delivered, not committed. */
export type DeliverEffect =
  | SendEffect
  | BroadcastEffect
  | CloseEffect
  | AttachEffect
  | TagsEffect
  | MuteEffect
  | TickEffect
  | RespondEffect
  | JoinEffect
  | WatchEffect
  | NotifyEffect;

export type Effect = WriteEffect | DeliverEffect | AlarmEffect | TellEffect;

/** Writes an effect: its size, its type and its fields. */
export function encodeEffect(e: Encoder, v: Effect): void {
  e.sized(() => {
    e.byte(effectTypes[v.type]);
    encodeFields(e, v);
  });
}

function encodeFields(e: Encoder, v: Effect): void {
  switch (v.type) {
    case "send":
      e.uvarint(v.connection);
      e.byte(encodingNumber(v.encoding));
      e.string(v.key);
      e.data(v.data);
      return;
    case "broadcast":
      e.byte(encodingNumber(v.encoding));
      e.string(v.protocol);
      e.string(v.tag);
      e.string(v.key);
      e.uvarint(v.except.length);
      for (const id of v.except) e.uvarint(id);
      e.data(v.data);
      return;
    case "close":
      e.uvarint(v.connection);
      e.uvarint(v.code);
      e.string(v.reason);
      return;
    case "put":
      e.data(v.key);
      e.data(v.value);
      return;
    case "delete":
      e.data(v.key);
      return;
    case "delete_range":
      e.data(v.start);
      e.data(v.end);
      return;
    case "alarm":
      e.uvarint(v.time);
      return;
    case "attach":
      e.uvarint(v.connection);
      e.data(v.data);
      return;
    case "tags":
      e.uvarint(v.connection);
      encodeTags(e, v.tags);
      return;
    case "mute":
      e.uvarint(v.connection);
      e.bool(v.muted);
      return;
    case "tick":
      e.uvarint(v.interval);
      return;
    case "respond":
      e.uvarint(v.request);
      e.uvarint(v.status);
      encodeHeaders(e, v.headers);
      e.data(v.body);
      return;
    case "tell":
      e.string(v.kind);
      e.string(v.room);
      e.data(v.data);
      return;
    case "join":
      e.uvarint(v.connection);
      return;
    case "watch":
      e.string(v.user);
      e.bool(v.on);
      return;
    case "notify":
      e.string(v.user);
      e.string(v.event);
      e.byte(encodingNumber(v.encoding));
      e.data(v.data);
      return;
  }
}

const typeNames = new Map<number, Effect["type"]>(
  Object.entries(effectTypes).map(([name, n]) => [n, name as Effect["type"]]),
);

/** Reads one effect. Byte fields share memory with the input. */
export function decodeEffect(outer: Decoder): Effect {
  const d = outer.sized("effect", limits.maxEffects);
  const n = d.byte("effect.type");
  const type = typeNames.get(n);
  if (type === undefined) return d.malformed("effect.type", `unknown effect_${n}`);
  const v = decodeFields(d, type);
  d.end(`effect.${type}`);
  return v;
}

function decodeFields(d: Decoder, type: Effect["type"]): Effect {
  switch (type) {
    case "send": {
      const connection = decodeID(d, "send.connection");
      const encoding = decodeEncoding(d, "send.encoding");
      const key = d.string("send.key", limits.maxConflationKey);
      return { type, connection, encoding, key, data: decodePayload(d, "send.data", encoding, limits.maxMessage) };
    }
    case "broadcast":
      return decodeBroadcast(d);
    case "close": {
      const connection = decodeID(d, "close.connection");
      const code = d.uvarint("close.code", limits.maxCode);
      if (!sendable(code)) d.malformed("close.code", "never travels in a close frame");
      return { type, connection, code, reason: d.string("close.reason", limits.maxCloseReason) };
    }
    case "put": {
      const key = decodeKey(d, "put.key");
      return { type, key, value: d.data("put.value", limits.maxKeyValue - key.length) };
    }
    case "delete":
      return { type, key: decodeKey(d, "delete.key") };
    case "delete_range": {
      const start = d.data("delete_range.start", limits.maxBound);
      const end = d.data("delete_range.end", limits.maxBound);
      if (end.length > 0 && compareBytes(start, end) > 0) d.malformed("delete_range", "end before start");
      return { type, start, end };
    }
    case "alarm":
      return { type, time: d.uvarint("alarm.time", limits.maxTime) };
    case "attach":
      return {
        type,
        connection: decodeID(d, "attach.connection"),
        data: d.data("attach.data", limits.maxAttachment),
      };
    case "tags":
      return { type, connection: decodeID(d, "tags.connection"), tags: decodeTags(d, "tags.tags") };
    case "mute":
      return { type, connection: decodeID(d, "mute.connection"), muted: d.bool("mute.muted") };
    case "tick": {
      const interval = d.uvarint("tick.interval", limits.maxTick);
      if (interval !== 0 && interval < limits.minTick) d.limit("tick.interval", "too small");
      return { type, interval };
    }
    case "respond": {
      const request = decodeID(d, "respond.request");
      const status = d.uvarint("respond.status", 599);
      if (status < 200) d.limit("respond.status", "below 200");
      const headers = decodeHeaders(d, "respond.headers");
      return { type, request, status, headers, body: d.data("respond.body", limits.maxBody) };
    }
    case "tell":
      return {
        type,
        kind: decodeName(d, "tell.kind"),
        room: decodeName(d, "tell.room"),
        data: d.data("tell.data", limits.maxTell),
      };
    case "join":
      return { type, connection: decodeID(d, "join.connection") };
    case "watch":
      return { type, user: decodeUser(d, "watch.user"), on: d.bool("watch.on") };
    case "notify": {
      const user = decodeUser(d, "notify.user");
      const event = decodeNotification(d, "notify.event");
      const encoding = decodeEncoding(d, "notify.encoding");
      return { type, user, event, encoding, data: decodePayload(d, "notify.data", encoding, limits.maxNotify) };
    }
  }
}

function decodeBroadcast(d: Decoder): BroadcastEffect {
  const encoding = decodeEncoding(d, "broadcast.encoding");
  const protocol = d.string("broadcast.protocol", limits.maxProtocol);
  const tag = d.string("broadcast.tag", limits.maxTag);
  const key = d.string("broadcast.key", limits.maxConflationKey);
  const except: bigint[] = [];
  for (let n = d.count("broadcast.except", limits.maxConnections); n > 0; n--)
    except.push(decodeID(d, "broadcast.except"));
  const data = decodePayload(d, "broadcast.data", encoding, limits.maxMessage);
  return { type: "broadcast", encoding, protocol, tag, key, except, data };
}

function decodeKey(d: Decoder, field: string): Uint8Array {
  const k = d.data(field, limits.maxKey);
  if (k.length === 0) d.malformed(field, "empty");
  return k;
}
