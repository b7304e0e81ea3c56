// The Durable Object class of a module. Every handler of the platform is here, and none throws:
// an exception in a handler loses the event silently, or breaks the object and all its sockets.

import { DurableObject } from "cloudflare:workers";
import { codes, limits } from "./abi.gen.ts";
import type { Account } from "./account.ts";
import { bodyOf, errorResponse } from "./answers.ts";
import { closeReason, cutReason } from "./code.ts";
import type { Connection } from "./connection.ts";
import type { MessageEvent, RequestEvent, UserState } from "./event.ts";
import type { Header } from "./header.ts";
import { Living } from "./living.ts";
import { Journal } from "./log.ts";
import { type Device, deviceOf } from "./newest.ts";
import type { Present } from "./notice.ts";
import { binaryPong, isBinaryPing, pings } from "./ping.ts";
import type { Pool } from "./pool.ts";
import { refusedResponse } from "./refused.ts";
import type { Notification, Service } from "./service.ts";
import { end, endedByPeer, type Socket, Sockets } from "./sockets.ts";
import { Store } from "./store.ts";
import { roomHeaders, type Visit, visitHeader, visitOf } from "./visit.ts";
import { maxFirstMessage, type Stranger, Waiting } from "./waiting.ts";
import { byteLength, bytesOf } from "./wire.ts";

/** How long a client of the session protocol may wait with its hello, in ms. */
export const helloTimeout = 10_000;

const noBytes = new Uint8Array(0);

/** Makes the object class of one module. `sockets` bounds those of one object below the platform's 32,768. */
export function roomClass(pool: Pool, service: (env: unknown) => Service, sockets?: number) {
  return class RoomObject extends DurableObject {
    readonly #store: Store;
    readonly #sockets: Sockets;
    readonly #waiting: Waiting;
    readonly #account: Account | undefined;
    readonly #woke = Date.now();
    #living: Living | undefined;

    constructor(ctx: DurableObjectState, env: object) {
      super(ctx, env);
      this.#store = new Store(ctx.storage);
      this.#sockets = new Sockets(ctx, sockets);
      this.#account = service(env).bill?.account(ctx.id.name ?? ctx.id.toString());
      this.#account?.woke(this.#store);
      this.#waiting = new Waiting(this.#sockets, this.#account);
    }

    override async fetch(request: Request): Promise<Response> {
      const done = this.#count();
      try {
        return await this.#answer(request);
      } catch (fault) {
        this.#broke("fetch", fault);
        return errorResponse(codes.internal);
      } finally {
        done?.();
      }
    }

    async #answer(request: Request): Promise<Response> {
      const visit = visitOf(request.headers);
      if (visit === undefined) return errorResponse(codes.forbidden);
      if (visit.to === "report") return this.#report();
      if (visit.to === "wait") return this.#wait(visit, request);
      const living = this.#open(visit.kind, visit.room);
      if (living === undefined) return errorResponse(codes.unknownKind);
      switch (visit.to) {
        case "socket":
          return this.#connect(living, visit);
        case "request":
          return this.#request(living, visit, request);
        case "told":
          return this.#told(living, visit, request);
      }
    }

    /** Counts a request of the bill, which lasts until the returned function is called. */
    #count(): (() => void) | undefined {
      if (this.#account !== undefined) this.#account.requests++;
      return this.#account?.hold("request");
    }

    override webSocketMessage(ws: WebSocket, message: string | ArrayBuffer): void | Promise<void> {
      if (this.#account !== undefined) this.#account.messages++;
      const stranger = this.#waiting.take(ws);
      if (stranger !== undefined) return this.#introduce(ws, stranger, message);
      const done = this.#account?.hold("event");
      try {
        this.#receive(ws, message);
      } catch (fault) {
        this.#broke("message", fault);
        end(ws, codes.internal, closeReason(codes.internal));
      } finally {
        done?.();
      }
    }

    override webSocketClose(ws: WebSocket, code: number, reason: string, clean: boolean): void {
      this.#waiting.take(ws);
      this.#guard("close", () => this.#ended(ws, code, reason, clean));
      end(ws, code, reason);
    }

    override webSocketError(ws: WebSocket): void {
      this.#waiting.take(ws);
      this.#guard("error", () => this.#ended(ws, codes.abnormal, "", false));
    }

    override alarm(): void {
      const done = this.#account?.hold("alarm");
      if (this.#account !== undefined) this.#account.alarms++;
      try {
        this.#open()?.ring();
      } catch (fault) {
        this.#broke("alarm", fault);
        this.#store.setAlarm(Date.now() + 10_000);
      } finally {
        done?.();
      }
    }

    async present(users: string[]): Promise<Present> {
      this.#count()?.();
      const now = Date.now();
      const seen = this.#living === undefined ? this.#sockets.glance(now) : undefined;
      const living = seen === undefined ? this.#open() : undefined;
      living?.closeSilent();
      const found = seen ?? living?.room.table.users;
      // An object that never was a room has given no number: its word is the last.
      const number = living?.numbers.upcoming ?? this.#store.load()?.next ?? Number.MAX_SAFE_INTEGER;
      const answer: Present = { number, users: new Map() };
      for (const user of users) {
        const s = found?.get(user);
        if (s !== undefined) answer.users.set(user, { ...s });
      }
      return answer;
    }

    async watched(users: UserState[]): Promise<string[]> {
      const done = this.#count();
      try {
        return this.#open()?.hear(users) ?? users.map((u) => u.user);
      } finally {
        done?.();
      }
    }

    async devices(user: string): Promise<Device[]> {
      this.#count()?.();
      return this.#sockets.devices(user);
    }

    async notified(connections: bigint[], n: Notification): Promise<number> {
      const done = this.#count();
      try {
        return this.#open()?.notify(connections, n) ?? 0;
      } finally {
        done?.();
      }
    }

    /** The room of this object; undefined if it never was one, or no kind of the module. */
    #open(kind?: string, name?: string): Living | undefined {
      if (this.#living !== undefined) return this.#living;
      let state = this.#store.load();
      const options = pool.manifest.kinds.find((k) => k.name === (state?.kind ?? kind));
      if (options === undefined) return undefined;
      if (state === undefined) {
        if (kind === undefined || name === undefined) return undefined;
        state = this.#store.create(kind, name, newTerm());
      }
      const living = new Living(
        this.ctx,
        pool,
        options,
        state,
        this.#store,
        this.#sockets,
        service(this.env),
        this.#account,
      );
      this.#living = living;
      // After the event that woke the object, because its sender is not silent.
      queueMicrotask(() => this.#guard("wake", () => living.closeSilent()));
      return living;
    }

    #connect(living: Living, visit: Visit): Response {
      const connection = this.#join(living, visit);
      if (connection === undefined) return refusedResponse(this.#sockets.refuse());
      const pair = new WebSocketPair();
      if (!this.#sockets.accept(pair[1], deviceOf(visit.query))) {
        living.evict(connection.id, codes.roomFull);
        return refusedResponse(this.#sockets.refuse());
      }
      this.#attach(living, pair[1], connection, visit);
      return upgraded(pair[0], visit);
    }

    /** Accepts a socket that has to say first who its client is; see {@link Waiting}. */
    #wait(visit: Visit, request: Request): Response {
      const headers = new Headers(request.headers);
      headers.delete(visitHeader);
      if (visit.protocol !== "") headers.set("sec-websocket-protocol", visit.protocol);
      const pair = new WebSocketPair();
      if (!this.#waiting.accept(pair[1], new Request(request.url, { headers }), deviceOf(visit.query))) {
        return refusedResponse({ frames: [], code: codes.roomFull, reason: closeReason(codes.roomFull) });
      }
      return upgraded(pair[0], visit);
    }

    /** Takes the first message of a socket that waits. The next is read when this is done. */
    async #introduce(ws: WebSocket, stranger: Stranger, message: string | ArrayBuffer): Promise<void> {
      const done = this.#account?.hold("event");
      try {
        await this.#verify(ws, stranger, message);
      } catch (fault) {
        this.#broke("credential", fault);
        end(ws, codes.internal, closeReason(codes.internal));
      } finally {
        done?.();
      }
    }

    /** Lets a client in whose message is a credential. */
    async #verify(ws: WebSocket, { head }: Stranger, message: string | ArrayBuffer): Promise<void> {
      const refuse = (code: number, detail = "") => end(ws, code, closeReason(code, 0, detail));
      if (typeof message !== "string") return refuse(codes.unsupportedEncoding, "the credential is a text message");
      if (message.length > maxFirstMessage) return refuse(codes.tooLarge);
      const visit = await service(this.env).verify?.(head, message);
      if (visit === undefined) return refuse(codes.unauthenticated);
      if ("code" in visit) return refuse(visit.code, visit.detail);
      if (ws.readyState !== WebSocket.OPEN) return;
      const living = this.#open(visit.kind, visit.room);
      if (living === undefined) return refuse(codes.unknownKind);
      const connection = this.#join(living, visit);
      if (connection !== undefined) return this.#attach(living, ws, connection, visit);
      const { frames, code, reason } = this.#sockets.refuse();
      for (const f of frames) ws.send(f);
      end(ws, code, reason);
    }

    /** Asks the room whether a client may come in; undefined if it may not. */
    #join(living: Living, visit: Visit): Connection | undefined {
      const connection: Connection = {
        id: BigInt(living.numbers.take()),
        user: visit.user,
        claims: bytesOf(visit.claims),
        protocol: visit.protocol,
        since: Math.max(Date.now(), living.room.time),
        tags: [],
        attachment: noBytes,
        muted: false,
      };
      this.#sockets.hold(connection.id);
      living.run([{ type: "connect", connection, query: visit.query, address: visit.address }]);
      const member = living.room.table.get(connection.id);
      return member?.closing === undefined ? member?.connection : undefined;
    }

    /** Makes an accepted socket that of a connection. */
    #attach(living: Living, ws: WebSocket, connection: Connection, visit: Visit): void {
      const s = this.#sockets.admit(ws, connection, visit.expires);
      living.expect(s);
      if (pings(visit.protocol)) this.#awaitHello(living, s);
    }

    /** A clock keeps the object awake: it runs for a client's first moments only. */
    #awaitHello(living: Living, s: Socket): void {
      const done = this.#account?.hold("hello");
      const timer = setTimeout(() => {
        this.#guard("hello", () => living.evict(s.id, codes.helloTimeout, 1000));
      }, helloTimeout);
      s.hello = () => {
        clearTimeout(timer);
        done?.();
      };
    }

    async #request(living: Living, visit: Visit, request: Request): Promise<Response> {
      const body = await bodyOf(request);
      if (body === undefined) return errorResponse(codes.tooLarge, 0, "body");
      const headers: Header[] = [];
      for (const name of roomHeaders) {
        const value = request.headers.get(name) ?? "";
        if (byteLength(value) > limits.maxHeader) return errorResponse(codes.tooLarge, 0, name);
        if (value !== "") headers.push({ name, value });
      }
      const e: RequestEvent = {
        type: "request",
        id: BigInt(living.numbers.take()),
        method: request.method,
        path: visit.path,
        query: visit.query,
        user: visit.user,
        claims: bytesOf(visit.claims),
        headers,
        body,
      };
      const answer = living.requests.wait(e.id);
      living.run([e]);
      return answer;
    }

    /** What another room tells; 204 means that the turn is committed, or that it never will be. */
    async #told(living: Living, visit: Visit, request: Request): Promise<Response> {
      const data = new Uint8Array(await request.arrayBuffer());
      const before = living.unheard;
      living.run([{ type: "told", fromKind: visit.fromKind, fromRoom: visit.fromRoom, id: BigInt(visit.id), data }]);
      return new Response(null, { status: living.unheard === before ? 204 : 503 });
    }

    #receive(ws: WebSocket, message: string | ArrayBuffer): void {
      const living = this.#open();
      const id = this.#sockets.idOf(ws);
      const s = id === undefined ? undefined : this.#sockets.get(id);
      if (living === undefined || s === undefined) {
        end(ws, codes.goingAway, closeReason(codes.goingAway));
        return;
      }
      const now = Date.now();
      const ping = isBinaryPing(s.protocol, message);
      if (!ping) {
        s.hello?.(); // from here on the room sees to it; of a ping it does not hear
        s.hello = undefined;
      }
      this.#sockets.hear(s, now, () => living.room.table.get(s.id)?.connection);
      const size = typeof message === "string" ? byteLength(message) : message.byteLength;
      if (size > living.kind.messageBytes) {
        living.evict(s.id, codes.messageTooBig);
        return;
      }
      if (ping) {
        this.#sockets.send(s.id, binaryPong);
        return;
      }
      const wait = s.bucket.take(now, living.kind.messagesPerSecond, living.kind.messageBurst);
      if (wait > 0) {
        living.evict(s.id, codes.rateLimited, wait);
        return;
      }
      const e: MessageEvent =
        typeof message === "string"
          ? { type: "message", connection: s.id, encoding: "text", data: bytesOf(message) }
          : { type: "message", connection: s.id, encoding: "binary", data: new Uint8Array(message) };
      living.run([e]);
    }

    #ended(ws: WebSocket, code: number, reason: string, clean: boolean): void {
      const id = this.#sockets.idOf(ws);
      if (id === undefined) return;
      if (this.#living === undefined && !this.#sockets.adopt(ws)) return;
      const living = this.#open();
      if (living === undefined) return;
      living.run([endedByPeer(id, code, cutReason(reason), clean)]);
    }

    #report(): Response {
      const l = this.#living;
      return Response.json({
        kind: l?.state.kind,
        room: l?.state.name,
        started: l?.room.started ?? false,
        connections: this.#sockets.size,
        awake: Date.now() - this.#woke,
        ticking: l?.state.ticking ?? false,
        rowsWritten: this.#store.rowsWritten,
        ledger: l?.ledger,
        instance: { ...pool.load, ...pool.stats },
      });
    }

    #guard(handler: string, f: () => void): void {
      const done = this.#account?.hold("event");
      try {
        f();
      } catch (fault) {
        this.#broke(handler, fault);
      } finally {
        done?.();
      }
    }

    #broke(handler: string, fault: unknown): void {
      const error = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
      new Journal(this.ctx.id.name ?? this.ctx.id.toString()).host(8, "the host failed", { handler, error });
    }
  };
}

/** The answer to an upgrade. */
function upgraded(webSocket: WebSocket, visit: Visit): Response {
  const headers = visit.protocol === "" ? {} : { "sec-websocket-protocol": visit.protocol };
  return new Response(null, { status: 101, webSocket, headers });
}

/** A random token for a new room's incarnation. */
function newTerm(): string {
  const b = crypto.getRandomValues(new Uint8Array(12));
  return btoa(String.fromCharCode(...b))
    .replaceAll("+", "-")
    .replaceAll("/", "_");
}
