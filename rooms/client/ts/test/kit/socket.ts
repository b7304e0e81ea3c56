import type { Json, Socket } from "../../src/index.ts";

/** A message as the tests look at it. */
export type Sent = { readonly type: string; readonly [name: string]: unknown };

/** A socket whose other side is the test. */
export class FakeSocket implements Socket {
  onopen: ((event: never) => unknown) | null = null;
  onmessage: ((event: never) => unknown) | null = null;
  onclose: ((event: never) => unknown) | null = null;
  onerror: ((event: never) => unknown) | null = null;
  /** Everything that the client sent, and what it closed with. */
  readonly texts: string[] = [];
  closedWith: number | undefined;
  readonly url: string;
  readonly protocols: string[];

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
  }

  send(text: string): void {
    this.texts.push(text);
  }

  close(code?: number): void {
    this.closedWith = code ?? 1005;
  }

  /** What the client sent since the last call. */
  take(): Sent[] {
    return this.texts.splice(0).map((text) => JSON.parse(text) as Sent);
  }

  open(): void {
    (this.onopen as (() => void) | null)?.();
  }

  /** The room says something: a value, or text as it is. */
  receive(message: Json): void {
    const data = typeof message === "string" ? message : JSON.stringify(message);
    (this.onmessage as ((event: { data: unknown }) => void) | null)?.({ data });
  }

  /** Something may have been lost. */
  resync(): void {
    this.receive('{"type":"resync"}');
  }

  receiveRaw(data: unknown): void {
    (this.onmessage as ((event: { data: unknown }) => void) | null)?.({ data });
  }

  /** The connection ends from the other side. */
  end(code = 1006, reason = ""): void {
    (this.onclose as ((event: { code: number; reason: string }) => void) | null)?.({
      code,
      reason,
    });
  }

  /** Opens and welcomes. */
  welcome(fields: { readonly [name: string]: Json } = {}): void {
    this.open();
    this.receive(welcome(fields));
  }
}

/** A welcome with the fields given over usual ones. */
export function welcome(fields: { readonly [name: string]: Json } = {}): Json {
  return {
    type: "welcome",
    connection: "1",
    session: "s1",
    incarnation: "i1",
    offset: 0,
    seq: 0,
    resumed: false,
    reason: "new",
    members: [],
    heartbeat: 25_000,
    first: 1,
    retention: { events: 1000, age: 0 },
    keep: 86_400_000,
    limits: { message: 65_536, open: 64 },
    ...fields,
  };
}

/** A WebSocket class whose sockets the test holds. */
export function fakeNet(): {
  sockets: FakeSocket[];
  last: () => FakeSocket;
  WebSocket: typeof FakeSocket;
} {
  const sockets: FakeSocket[] = [];
  class Recorded extends FakeSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const last = (): FakeSocket => {
    const socket = sockets.at(-1);
    if (!socket) throw new Error("no socket was made");
    return socket;
  };
  return { sockets, last, WebSocket: Recorded };
}
