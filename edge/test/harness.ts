// A running worker with the host inside, and clients for it.

import assert from "node:assert/strict";
import type { EventEmitter } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { createTestHarness, type TestHarnessOptions } from "wrangler";
import { WebSocket } from "ws";
import type { Line, Report } from "../host/bill.ts";

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export type Worker = NonNullable<TestHarnessOptions["workers"]>[number];

/** The worker of the host's tests. */
const hostWorker = { configPath: file("./wrangler.toml") };
/** The worker that is deployed, in its dev mode. */
export const appWorker = { configPath: file("../../wrangler.toml"), vars: { ORIEL_DEV: "1" } };

/** The same, with limits so low that a test meets them, and a place for its rooms. */
export const limitedWorker = { configPath: file("./limited.toml"), vars: { ORIEL_DEV: "1" } };

/** The longest that a test waits for one frame, in ms: machines that run tests can be slow. */
const frameTimeout = 40_000;

/** How long a worker may take to come up: hooks have no limit of their own. */
export const patience = { timeout: 180_000 };

export interface Close {
  code: number;
  reason: string;
}

/** A client of a room. */
export class Client {
  readonly ws: WebSocket;
  readonly closed: Promise<Close>;
  #frames: (string | Uint8Array)[] = [];
  #wake: (() => void) | undefined;

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on("message", (data: Buffer, binary: boolean) => {
      this.#frames.push(binary ? new Uint8Array(data) : data.toString());
      this.#wake?.();
    });
    this.closed = new Promise((resolve) => {
      const end = (code: number, reason: Buffer) => resolve({ code, reason: reason.toString() });
      ws.on("close", end);
      // The close frame: the local workerd lets the TCP connection stay open for a while after it.
      ws.on("open", () => (Reflect.get(ws, "_receiver") as EventEmitter).on("conclude", end));
    });
    ws.on("error", () => undefined);
  }

  /** The next frame. */
  async next(): Promise<string | Uint8Array> {
    const deadline = Date.now() + frameTimeout;
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error("no frame came");
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Frames that have come and were not asked for. */
  get waiting(): (string | Uint8Array)[] {
    return this.#frames;
  }

  send(frame: string | Uint8Array): void {
    this.ws.send(frame);
  }

  /** Sends a frame and returns the next that comes. */
  async ask(frame: string | Uint8Array): Promise<string | Uint8Array> {
    this.send(frame);
    return this.next();
  }

  async end(code = 1000, reason = ""): Promise<Close> {
    this.ws.close(code, reason);
    return this.closed;
  }
}

/** Asks again until the answer is the wanted one. */
export async function until(get: () => Promise<unknown>, want: unknown, timeout = frameTimeout): Promise<void> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const got = await get();
    if (isDeepStrictEqual(got, want)) return;
    if (Date.now() > deadline) assert.deepEqual(got, want);
    await pause(50);
  }
}

export type Query = Record<string, string>;

/** Runs a check until it no longer throws; its last fault is the test's. */
export async function eventually(check: () => void | Promise<void>): Promise<void> {
  const deadline = Date.now() + frameTimeout;
  for (;;) {
    try {
      return await check();
    } catch (fault) {
      if (Date.now() > deadline) throw fault;
    }
    await pause(50);
  }
}

export class Host {
  readonly #server: ReturnType<typeof createTestHarness>;
  readonly #url: URL;
  readonly #clients: Client[] = [];

  private constructor(server: ReturnType<typeof createTestHarness>, url: URL) {
    this.#server = server;
    this.#url = url;
  }

  static async start(worker: Worker = hostWorker): Promise<Host> {
    const server = createTestHarness({ workers: [worker] });
    const { url } = await server.listen();
    return new Host(server, url);
  }

  url(room: string, query: Query = {}, sub = ""): URL {
    const url = new URL(`/v1/rooms/${room}${sub}`, this.#url);
    url.search = new URLSearchParams(query).toString();
    return url;
  }

  /** Connects a client; it may be refused by a close. */
  async connect(room: string, query: Query = {}): Promise<Client> {
    const url = this.url(room, query);
    return this.dial(url, query.protocol === undefined ? [] : [query.protocol]);
  }

  /** Connects a client to an address. */
  async dial(url: URL, protocols: string[], headers: Record<string, string> = {}): Promise<Client> {
    url.protocol = "ws:";
    const client = new Client(new WebSocket(url, protocols, { headers }));
    this.#clients.push(client);
    await new Promise<void>((resolve, reject) => {
      client.ws.once("open", () => resolve());
      client.ws.once("error", reject);
    });
    return client;
  }

  fetch(room: string, init: RequestInit = {}, query: Query = {}, sub = ""): Promise<Response> {
    return fetch(this.url(room, query, sub), init);
  }

  async report(room: string, query: Query = {}): Promise<Record<string, unknown>> {
    const r = await this.fetch(room, {}, { ...query, report: "1" });
    return (await r.json()) as Record<string, unknown>;
  }

  /** Where a user is, or with `query` what the test worker does about it. */
  async presence(user: string, query: Query = {}): Promise<unknown> {
    const url = this.at(`/presence/${encodeURIComponent(user)}`);
    url.search = new URLSearchParams(query).toString();
    return (await fetch(url)).json();
  }

  /** Runs SQL inside an object. */
  async sql(className: string, name: string, query: string, ...bindings: (string | number)[]) {
    const storage = await this.#server.getWorker().getDurableObjectStorage(className, { name });
    return storage.exec(query, ...bindings);
  }

  /** What the dev server's bill says of an object. */
  async bill(object: string): Promise<Line> {
    const r = await fetch(this.at("/v1/dev/bill"), { headers: { accept: "application/json" } });
    const { objects } = (await r.json()) as Report;
    const line = objects.find((o) => o.object === object);
    if (line === undefined) throw new Error(`${object} is not on the bill`);
    return line;
  }

  /** Sets the clock of the test worker, ms since 1970, where it stands still; 0 lets it run. */
  async clock(time: number): Promise<void> {
    await fetch(this.at("/kit/clock"), { method: "POST", body: JSON.stringify({ clock: time }) });
  }

  /** Any address of the worker. */
  at(path: string): URL {
    return new URL(path, this.#url);
  }

  /** Puts the object of a room to sleep; its sockets stay. */
  async sleep(room: string, className = "Room"): Promise<void> {
    await this.#server.getWorker().evictDurableObject(className, { name: room, webSockets: "hibernate" });
  }

  /** Resets the object of a room as a deployment does: its sockets break. */
  async drop(room: string, className = "Room"): Promise<void> {
    await this.#server.getWorker().evictDurableObject(className, { name: room, webSockets: "close" });
  }

  logs(): string[] {
    return this.#server.getLogs().map((l: { message: string }) => l.message);
  }

  async stop(): Promise<void> {
    for (const c of this.#clients) c.ws.terminate();
    await this.#server.close();
  }
}
