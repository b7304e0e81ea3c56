// Which events reach a room. The rules are those of package host (admit.go).

import { codes, limits } from "./abi.gen.ts";
import { closeReason, codeInfo, cutReason } from "./code.ts";
import type { CloseEffect, RespondEffect } from "./effect.ts";
import { type CloseEvent, type ConnectEvent, eventBytes, eventOf, type RequestEvent, type RoomEvent } from "./event.ts";
import { maxOwed, maxOwedTurn } from "./owed.ts";
import { maxTable, memberSize } from "./table.ts";
import { byteLength, bytesOf, FieldError, isUTF8, maxUint64 } from "./wire.ts";

/** What is left of a batch for events, beside a start event and rejections. */
const maxBatchBytes = limits.maxBatch - maxTable - maxOwedTurn - (64 << 10);

/** Splits off as many events as one batch holds; at least one. */
export function cut(events: readonly RoomEvent[]): [batch: RoomEvent[], rest: RoomEvent[]] {
  let size = 0;
  for (const [i, e] of events.entries()) {
    size += eventSize(e);
    if (i > 0 && (i >= limits.maxBatchEvents - maxOwed - 1 || size > maxBatchBytes))
      return [events.slice(0, i), events.slice(i)];
  }
  return [[...events], []];
}

/** At least the size of e's encoding. */
function eventSize(e: RoomEvent): number {
  switch (e.type) {
    case "message":
      return 32 + e.data.length;
    case "connect":
      return 32 + memberSize(e.connection) + byteLength(e.query) + byteLength(e.address);
    case "request": {
      let n = 64 + e.method.length + byteLength(e.path) + byteLength(e.query) + byteLength(e.user);
      n += e.claims.length + e.body.length;
      for (const h of e.headers) n += 8 + byteLength(h.name) + byteLength(h.value);
      return n;
    }
    case "told":
      return 64 + e.fromKind.length + e.fromRoom.length + e.data.length;
    case "presence":
      return e.users.reduce((n, u) => n + 8 + byteLength(u.user), 32);
    case "notified":
      return 64 + e.fromKind.length + e.fromRoom.length + e.event.length + e.data.length;
    case "close":
      return 32 + byteLength(e.reason);
    default:
      return 32;
  }
}

/** Finds events that no guest could decode, and those that only a host may make. */
export function checkEvent(e: RoomEvent): FieldError | undefined {
  switch (e.type) {
    case "start":
    case "forget":
    case "rejected":
      return new FieldError("malformed", "event.type", `a host's own ${e.type}`);
    case "message":
      if (e.connection === 0n) return new FieldError("malformed", "message.connection", "zero");
      if (e.data.length > limits.maxMessage) return new FieldError("limit", "message.data", "too large");
      if (e.encoding === "text" && !isUTF8(e.data)) return new FieldError("malformed", "message.data", "not UTF-8");
      return undefined;
    case "connect":
      if (fits(e)) return undefined;
  }
  try {
    eventOf(eventBytes(e));
    return undefined;
  } catch (fault) {
    return fault instanceof FieldError ? fault : new FieldError("malformed", `event.${e.type}`, String(fault));
  }
}

/** Reports whether a client is within the limits, so that its event need not be coded to find out. */
function fits({ connection: c, query, address }: ConnectEvent): boolean {
  return (
    c.id > 0n &&
    c.id <= maxUint64 &&
    byteLength(c.user) <= limits.maxUser &&
    c.claims.length <= limits.maxClaims &&
    byteLength(c.protocol) <= limits.maxProtocol &&
    Number.isSafeInteger(c.since) &&
    c.since >= 0 &&
    c.tags.length === 0 &&
    c.attachment.length === 0 &&
    byteLength(query) <= limits.maxQuery &&
    byteLength(address) <= limits.maxAddress
  );
}

/** Makes what a peer said at the end fit the ABI: a close event is never refused. */
export function cleanClose(e: CloseEvent): CloseEvent {
  const code = e.code <= limits.maxCode ? e.code : codes.protocolError;
  return { ...e, code, reason: cutReason(e.reason) };
}

/** The refusal of a connect event. */
export function refusal(e: ConnectEvent, code: number): CloseEffect {
  return { type: "close", connection: e.connection.id, code, reason: closeReason(code) };
}

/** The error body of an HTTP answer. */
export function answer(e: RequestEvent, code: number, text = codeInfo(code).text): RespondEffect {
  const info = codeInfo(code);
  return {
    type: "respond",
    request: e.id,
    status: info.status,
    headers: [{ name: "Content-Type", value: "application/json" }],
    body: bytesOf(JSON.stringify({ code: info.name, message: text })),
  };
}
