import type { BackoffOptions } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import type { OrielError } from "./errors.ts";
import type { Payload, Place } from "./message.ts";
import type { OutboxOptions } from "./outbox.ts";

/** The part of a WebSocket that the client uses; the browser's, Node's and `ws` have it. */
export interface Socket {
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  /** `ws` has it: the socket goes without waiting for the other side. */
  terminate?(): void;
}

/** Makes a {@link Socket}. */
export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

/** Where a session outlives the page: `sessionStorage`, or anything like it. */
export interface SessionStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** What a `credential` function is told. */
export interface CredentialRequest {
  /** The server refused the last credential: a cached one is of no use. */
  readonly refused: OrielError | undefined;
}

/** Options of a `Client`; `url`, `kind` and `room` are required. Times are milliseconds. */
export interface ClientOptions {
  /** The server's base: `https://example.org`, `ws://...`, or in a browser a path such as `/`. */
  readonly url: string | URL;
  readonly kind: string;
  readonly room: string;
  /**
   * Gets a credential; asked anew before each attempt to connect. If it rejects, the client waits
   * and asks again, unless it rejects with an {@link OrielError} whose action is `stop`. Absent:
   * the client offers none (cookies go along in browsers).
   */
  readonly credential?: ((request: CredentialRequest) => string | Promise<string>) | undefined;
  /**
   * Sends the credential as the first message instead of a subprotocol, to servers that take it so.
   * Default false.
   */
  readonly firstMessage?: boolean | undefined;
  /**
   * What the client runs on, the same for all rooms, at most 64 bytes: of the clients of one device only
   * the newest is notified. Default: it is a device of its own.
   */
  readonly device?: string | undefined;
  /** What the kind wants to know of a client that enters. */
  readonly hello?: Payload;
  /** Go on from here instead of entering at the head. */
  readonly place?: Place | undefined;
  /**
   * Keeps session and place when the page goes away, so that a reload goes on with them. They
   * are taken out while the client has them: a duplicated tab begins a session of its own.
   */
  readonly storage?: SessionStorage | undefined;
  /** An attempt to connect fails after so long. Default 15,000. */
  readonly connectTimeout?: number | undefined;
  /**
   * A publish fails after so long. Default an hour, and never more than nine tenths of the time
   * for which the room keeps a session that is away.
   */
  readonly publishTimeout?: number | undefined;
  readonly queue?: OutboxOptions | undefined;
  readonly backoff?: BackoffOptions | undefined;
  /** Default: the platform's. Node has one from version 22 on; `ws` works too. */
  readonly WebSocket?: SocketConstructor | undefined;
  /** Default: the platform's. */
  readonly clock?: Clock | undefined;
  /** Between 0 and 1, for the jitter. Default Math.random. */
  readonly random?: (() => number) | undefined;
}

/** Options of `Client.publish`. */
export interface PublishOptions {
  /** Overrules `publishTimeout`, in milliseconds. */
  readonly timeout?: number | undefined;
}

/** Options of `Client.close`. */
export interface CloseOptions {
  /**
   * Leave the session in the room, and session and place in `storage`, for a later client.
   * Default false: the room forgets the session.
   */
  readonly keep?: boolean | undefined;
}
