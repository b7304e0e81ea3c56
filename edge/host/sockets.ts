import { codes } from "./abi.gen.ts";
import { Bucket } from "./bucket.ts";
import { cutReason, echoCode } from "./code.ts";
import type { Connection } from "./connection.ts";
import type { CloseEffect } from "./effect.ts";
import { type Envelope, type EnvelopeState, envelopeBytes, envelopeOf } from "./envelope.ts";
import type { Device } from "./newest.ts";
import { pings } from "./ping.ts";
import type { Refused } from "./refused.ts";
import { closeEvent } from "./table.ts";
import { Users } from "./users.ts";

/** How often a client has to be heard, in ms; the session protocol's welcome says the same. */
export const heartbeat = 25_000;
/** A client that was silent for so long, in ms, is gone. */
export const silence = 2.5 * heartbeat;
/** How exactly it is written down when a client was heard, in ms. */
const heardGrain = 20_000;

/** One client's socket. */
export interface Socket {
  readonly id: bigint;
  readonly ws: WebSocket;
  /** The subprotocol. */
  readonly protocol: string;
  readonly expires: number;
  readonly bucket: Bucket;
  /** When something was heard of the client, as the envelope says it. */
  heard: number;
  /** Stops the clock of a client that has not said hello; undefined once it has spoken. */
  hello: (() => void) | undefined;
}

/** The sockets of one object: those of connections, and those that the room has closed but not heard the end of. */
export class Sockets {
  readonly #ctx: DurableObjectState;
  readonly #most: number | undefined;
  readonly #byID = new Map<bigint, Socket>();
  /** What their envelopes say, for as long as the platform hands out the same socket. */
  readonly #ids = new WeakMap<WebSocket, bigint>();
  /** {@link expiry}; undefined if it has to be looked for. */
  #expiry: number | undefined = 0;
  #held: { id: bigint; frames: (string | Uint8Array)[]; close: CloseEffect | undefined } | undefined;
  readonly #adopted = new Map<bigint, Envelope>();
  readonly #leaving = new Map<bigint, { ws: WebSocket; effect: CloseEffect }>();

  constructor(ctx: DurableObjectState, most?: number) {
    this.#ctx = ctx;
    this.#most = most;
  }

  get size(): number {
    return this.#byID.size;
  }

  all(): Iterable<Socket> {
    return this.#byID.values();
  }

  get(id: bigint): Socket | undefined {
    return this.#byID.get(id);
  }

  /** Finds the connections that outlived the object's memory, in the order of joining. */
  restore(): { connection: Connection; closing?: CloseEffect }[] {
    for (const ws of this.#ctx.getWebSockets()) this.adopt(ws);
    const found = [...this.#adopted.values()];
    this.#adopted.clear();
    found.sort((a, b) => (a.connection.id < b.connection.id ? -1 : 1));
    return found.map((v) =>
      v.state === "closing" ? { connection: v.connection, closing: effectOf(v) } : { connection: v.connection },
    );
  }

  /**
   * Takes a socket in by its envelope, before {@link restore}: the platform's list leaves out the
   * one whose end woke the object. Returns false if it is no connection of the room.
   */
  adopt(ws: WebSocket): boolean {
    const v = envelopeOf(ws.deserializeAttachment());
    if (v === undefined || v.state === "gone") return false;
    const { id, protocol } = v.connection;
    if (this.#adopted.has(id)) return true;
    this.#adopted.set(id, v);
    if (v.state === "closing") this.#leaving.set(id, { ws, effect: effectOf(v) });
    else this.#put(id, ws, protocol, v.expires, v.heard);
    return true;
  }

  /**
   * Holds back what the connect turn sends to a new client until its room has decided. Only then is
   * the socket accepted, so that a refused client costs the object nothing.
   */
  hold(id: bigint): void {
    this.#held = { id, frames: [], close: undefined };
  }

  /**
   * Accepts a socket. False if the object has as many as it may: those count, too, that are no connections any
   * more and not closed yet.
   */
  accept(ws: WebSocket, device = ""): boolean {
    if (this.#most !== undefined && this.#ctx.getWebSockets().length >= this.#most) return false;
    try {
      this.#ctx.acceptWebSocket(ws, device === "" ? [] : [device]); // a tag outlives the object's memory
      return true;
    } catch {
      return false;
    }
  }

  /** Takes in the accepted socket of a held client that the room let in, and sends what was held back. */
  admit(ws: WebSocket, c: Connection, expires: number): Socket {
    const frames = this.#held?.frames ?? [];
    this.#held = undefined;
    this.#write(ws, "open", c, c.since, expires);
    const s = this.#put(c.id, ws, c.protocol, expires, c.since);
    for (const f of frames) this.send(c.id, f);
    return s;
  }

  /** Lets go of a held client that was refused: what it has to be told, by whoever holds its socket. */
  refuse(): Refused {
    const held = this.#held;
    this.#held = undefined;
    return { frames: held?.frames ?? [], code: held?.close?.code ?? codes.internal, reason: held?.close?.reason ?? "" };
  }

  #put(id: bigint, ws: WebSocket, protocol: string, expires: number, heard: number): Socket {
    const s: Socket = { id, ws, protocol, expires, heard, bucket: new Bucket(), hello: undefined };
    this.#byID.set(id, s);
    this.#ids.set(ws, id);
    if (expires !== 0 && this.#expiry !== undefined && (this.#expiry === 0 || expires < this.#expiry))
      this.#expiry = expires;
    return s;
  }

  /** The connection of a socket, by its envelope. */
  idOf(ws: WebSocket): bigint | undefined {
    return this.#ids.get(ws) ?? envelopeOf(ws.deserializeAttachment())?.connection.id;
  }

  /** Writes a connection down, so that it outlives the object's memory. */
  save(c: Connection): void {
    const s = this.#byID.get(c.id);
    if (s !== undefined) this.#write(s.ws, "open", c, s.heard, s.expires);
  }

  /** Notes that a client was heard; `connection` gives its present form if that has to be written. */
  hear(s: Socket, now: number, connection: () => Connection | undefined): void {
    if (now - s.heard < heardGrain) return;
    s.heard = now;
    const c = connection();
    if (c !== undefined) this.save(c);
  }

  /** Sends one frame; a socket that is closing loses it, as a connection that broke does. */
  send(id: bigint, frame: string | Uint8Array): void {
    if (this.#held?.id === id) {
      if (this.#held.close === undefined) this.#held.frames.push(frame);
      return;
    }
    const s = this.#byID.get(id);
    if (s === undefined) return;
    try {
      s.ws.send(frame);
    } catch {
      // The close event follows.
    }
  }

  /** Carries out the room's close effect. The room hears the end in a later turn. */
  close(e: CloseEffect, c: Connection | undefined): void {
    if (this.#held?.id === e.connection) this.#held.close ??= e;
    const s = this.#take(e.connection);
    if (s === undefined) return;
    if (c !== undefined) {
      this.#leaving.set(e.connection, { ws: s.ws, effect: e });
      this.#write(s.ws, "closing", c, s.heard, s.expires, e);
    }
    end(s.ws, e.code, e.reason);
  }

  /** The room has heard the end of a connection. */
  ended(id: bigint): void {
    const ws = this.#leaving.get(id)?.ws ?? this.#take(id)?.ws;
    this.#leaving.delete(id);
    if (ws !== undefined) this.#gone(ws);
  }

  /** Closes a socket that the host ends without the room. */
  end(id: bigint, code: number, reason: string): void {
    if (this.#held?.id === id) this.#held.close ??= { type: "close", connection: id, code, reason };
    const s = this.#take(id);
    if (s === undefined) return;
    this.#gone(s.ws);
    end(s.ws, code, reason);
  }

  #take(id: bigint): Socket | undefined {
    const s = this.#byID.get(id);
    this.#byID.delete(id);
    if (s !== undefined && s.expires !== 0 && s.expires === this.#expiry) this.#expiry = undefined;
    s?.hello?.();
    return s;
  }

  /** When the first of the credentials ends, milliseconds since 1970; 0 if none does. */
  get expiry(): number {
    if (this.#expiry === undefined) {
      this.#expiry = 0;
      for (const { expires } of this.all())
        if (expires !== 0 && (this.#expiry === 0 || expires < this.#expiry)) this.#expiry = expires;
    }
    return this.#expiry;
  }

  /** When a client was last heard, by its messages and by the automatic answers to its pings. */
  heard(s: Socket): number {
    return this.#heard(s.ws, s.heard);
  }

  #heard(ws: WebSocket, noted: number): number {
    return Math.max(noted, this.#ctx.getWebSocketAutoResponseTimestamp(ws)?.getTime() ?? 0);
  }

  /** The clients that have to ping and were not heard for too long. */
  silent(now: number): Socket[] {
    return [...this.all()].filter((s) => pings(s.protocol) && now - this.heard(s) > silence + heartbeat);
  }

  /**
   * Who is connected, without taking anything in: for an object that has just woken, and may go to sleep
   * again. Undefined if a client is silent, which its room has to hear first.
   */
  glance(now: number): Users | undefined {
    const users = new Users();
    for (const ws of this.#ctx.getWebSockets()) {
      const v = envelopeOf(ws.deserializeAttachment());
      if (v?.state !== "open") continue;
      const { protocol, user, since } = v.connection;
      if (pings(protocol) && now - this.#heard(ws, v.heard) > silence + heartbeat) return undefined;
      users.join(user, since);
    }
    return users;
  }

  /** The connections of a user, without taking anything in. */
  devices(user: string): Device[] {
    const found: Device[] = [];
    for (const ws of this.#ctx.getWebSockets()) {
      const v = envelopeOf(ws.deserializeAttachment());
      if (v?.state !== "open" || v.connection.user !== user) continue;
      const [device = ""] = this.#ctx.getTags(ws);
      found.push({ id: v.connection.id, device, since: v.connection.since });
    }
    return found;
  }

  #gone(ws: WebSocket): void {
    const v = envelopeOf(ws.deserializeAttachment());
    if (v !== undefined)
      this.#write(ws, "gone", { ...v.connection, attachment: new Uint8Array(0) }, v.heard, v.expires);
  }

  #write(
    ws: WebSocket,
    state: EnvelopeState,
    connection: Connection,
    heard: number,
    expires: number,
    e?: CloseEffect,
  ): void {
    const v = { state, code: e?.code ?? 0, reason: e?.reason ?? "", heard, expires, connection };
    try {
      ws.serializeAttachment(envelopeBytes(v));
    } catch {
      // A socket that is closed already keeps nothing, and needs nothing.
    }
  }
}

function effectOf(v: Envelope): CloseEffect {
  return { type: "close", connection: v.connection.id, code: v.code, reason: v.reason };
}

/** Sends a close frame, or answers one: a hibernating socket does not do so by itself. */
export function end(ws: WebSocket, code: number, reason: string): void {
  try {
    ws.close(echoCode(code), cutReason(reason));
  } catch {
    // It is closed already.
  }
}

/** The close event of a client that the host ended. */
export function endedBy(id: bigint, code: number, reason: string) {
  return closeEvent({ type: "close", connection: id, code, reason });
}

/** The close event of a peer's end. The words for a connection that broke are the platform's, and no peer's. */
export function endedByPeer(id: bigint, code: number, reason: string, clean: boolean) {
  if (code === 0 || code === codes.abnormal)
    return { type: "close" as const, connection: id, code: codes.abnormal, reason: "", clean: false };
  return { type: "close" as const, connection: id, code, reason, clean };
}
