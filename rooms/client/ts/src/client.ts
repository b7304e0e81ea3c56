import { address, checkName } from "./address.ts";
import { Backoff } from "./backoff.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Emitter } from "./emitter.ts";
import { closeError, OrielError } from "./errors.ts";
import type { ClientEvents } from "./events.ts";
import { Heartbeat } from "./heartbeat.ts";
import {
  decode,
  decodeHistory,
  decodeMembers,
  encode,
  type HistoryPage,
  type MembersPage,
  more,
  notifyPrefix,
  type Payload,
  type Place,
  ping,
  prepare,
  type RoomMessage,
  type Welcome,
} from "./message.ts";
import type {
  ClientOptions,
  CloseOptions,
  PublishOptions,
  Socket,
  SocketConstructor,
} from "./options.ts";
import { Outbox } from "./outbox.ts";
import { Presence } from "./presence.ts";
import { type RequestOptions, Requests } from "./requests.ts";
import { save, takeSaved } from "./saved.ts";
import type { State } from "./state.ts";
import { watchPage } from "./wake.ts";

/** How long the connection is waited for when the network or the user came back, in ms. */
const probeTimeout = 5000;
/** How long `close()` waits for the other side, in ms. */
const closeTimeout = 1000;
/** How many requests may be without an answer. */
const openRequests = 256;

/**
 * A client of one room: one connection at a time, one session. Its life: `idle`, then
 * `open()`, then `connecting`, `open` and `waiting` in turn until `closed`.
 */
export class Client {
  readonly #options: ClientOptions;
  readonly #clock: Clock;
  readonly #key: string;
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #presence = new Presence();
  readonly #backoff: Backoff;
  readonly #heartbeat: Heartbeat;
  readonly #outbox: Outbox;
  readonly #requests: Requests;

  #state: State = { name: "idle" };
  #session = "";
  #place: Place | undefined;
  #welcome: Welcome | undefined; // of this connection
  #socket: Socket | undefined;
  #hellos = 0; // on this connection, after the first
  #holed = false; // a hole in the offsets was mended on this connection
  #attempt: object | undefined; // identifies the attempt to connect whose credential is awaited
  #timer: unknown; // of connecting, of waiting, of being stable: one state has one
  #notBefore = 0; // what the server asked for, against waking early
  #refused: OrielError | undefined;
  #unwatch: (() => void) | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#key = `oriel:${checkName(options.kind)}/${checkName(options.room)}`;
    this.#place = options.place;
    const clock = options.clock ?? systemClock;
    this.#clock = clock;
    this.#backoff = new Backoff(options.backoff ?? {}, options.random ?? Math.random);
    this.#heartbeat = new Heartbeat(
      clock,
      () => this.#send(ping),
      () => this.#drop(new OrielError("heartbeat_timeout", "nothing was heard")),
    );
    this.#outbox = new Outbox(
      clock,
      options.queue ?? {},
      (text) => this.#send(text),
      (held) => this.#emitter.emit("held", held),
    );
    this.#requests = new Requests(clock, (text) => this.#live() && this.#send(text));
  }

  get state(): State {
    return this.#state;
  }

  /** The last durable event that was seen; undefined before the first welcome. */
  get place(): Place | undefined {
    return this.#place;
  }

  /** Who is here, as far as was told last. */
  get presence(): Presence {
    return this.#presence;
  }

  /** How many publishes have no outcome yet. */
  get pending(): number {
    return this.#outbox.size;
  }

  /** Calls `listener` for each of what `name` says. The result ends it. */
  on<K extends keyof ClientEvents>(
    name: K,
    listener: (value: ClientEvents[K]) => void,
  ): () => void {
    return this.#emitter.on(name, listener);
  }

  /** Begins to connect; also again after `closed`. Otherwise it does nothing. */
  open(): this {
    if (this.#state.name !== "idle" && this.#state.name !== "closed") return this;
    this.#take();
    this.#backoff.attempt = this.#notBefore = 0;
    this.#refused = undefined;
    this.#unwatch = watchPage(
      () => this.wake(),
      () => this.#keep(),
      () => this.#take(),
    );
    this.#connect();
    return this;
  }

  /**
   * Publishes. Resolves with the event's offset once it is durable, or with undefined if it
   * became no durable event. Rejects with an {@link OrielError} whose `outcome` says what is
   * known. Without a connection it waits in a bounded queue. What the room turns away for a
   * while (slow mode, say) is sent again by the client, in order.
   */
  async publish(
    event: string,
    data?: Payload,
    options: PublishOptions = {},
  ): Promise<number | undefined> {
    if (this.#state.name === "closed") throw new OrielError("closed", "", { outcome: "unsent" });
    const timeout = options.timeout ?? this.#options.publishTimeout ?? 3_600_000;
    const keep = this.#welcome?.keep ?? 0;
    return this.#outbox.add(
      prepare("publish", "seq", event, data),
      keep > 0 ? Math.min(timeout, keep * 0.9) : timeout,
    );
  }

  /** Sends an ephemeral message, and says whether there is a connection for it. */
  signal(event: string, data?: Payload): boolean {
    return this.#live() && this.#send(encode("signal", { event }, data));
  }

  /** Asks the room; resolves with the answer's data: check it. Without a connection it waits. */
  async request(event: string, data?: Payload, options: RequestOptions = {}): Promise<unknown> {
    if (this.#state.name === "closed") throw new OrielError("closed");
    return this.#requests.add(prepare("request", "id", event, data), openRequests, options);
  }

  /**
   * A page of history: up to `limit` (default 50, at most 200) events before or after an
   * offset; the newest ones if neither is given.
   */
  async history(
    query: { before?: number; after?: number; limit?: number } = {},
    options: RequestOptions = {},
  ): Promise<HistoryPage> {
    return decodeHistory(await this.request("history", query, { retry: true, ...options }));
  }

  /** A page of the members, also of a room that tells counts only. */
  async members(
    query: { after?: string; limit?: number } = {},
    options: RequestOptions = {},
  ): Promise<MembersPage> {
    return decodeMembers(await this.request("members", query, { retry: true, ...options }));
  }

  /**
   * Connects now instead of at the end of a wait, but not before the server's suggestion; an
   * open connection is checked. In a browser this happens by itself when the network or the
   * user comes back.
   */
  wake(): void {
    const state = this.#state;
    if (state.name === "waiting") {
      const left = this.#notBefore - this.#clock.now();
      if (left <= 0) this.#connect();
      else if (state.until > this.#notBefore) this.#wait(state.why, left);
    } else if (state.name === "open") {
      this.#heartbeat.probe(probeTimeout);
    }
  }

  /**
   * Ends the client and its session. Publishes and requests without an outcome reject. The
   * promise resolves when the socket is closed, after a second at the latest; it never rejects.
   */
  close(options: CloseOptions = {}): Promise<void> {
    if (this.#state.name === "closed") return Promise.resolve();
    const socket = this.#detach();
    if (options.keep) this.#keep();
    else this.#session = "";
    this.#end(new OrielError("closed", "by the client"));
    return new Promise((resolve) => {
      if (!socket) {
        resolve();
        return;
      }
      const done = (): void => {
        this.#clock.clearTimeout(timer);
        resolve();
      };
      const timer = this.#clock.setTimeout(() => {
        socket.terminate?.();
        resolve();
      }, closeTimeout);
      socket.onclose = done;
      // 1000 ends the session; any other code leaves it.
      shut(socket, options.keep ? 4000 : 1000);
    });
  }

  #live(): boolean {
    return this.#state.name === "open";
  }

  #set(state: State): void {
    this.#state = state;
    this.#emitter.emit("state", state);
  }

  #connect(): void {
    const attempt = {};
    this.#attempt = attempt;
    this.#await();
    this.#set({ name: "connecting", attempt: this.#backoff.attempt + 1 });
    if (this.#attempt !== attempt) return; // an observer closed the client
    const { credential } = this.#options;
    if (!credential) {
      this.#dial("");
      return;
    }
    new Promise<string>((resolve) => resolve(credential({ refused: this.#refused }))).then(
      (token) => {
        if (this.#attempt === attempt) this.#dial(token);
      },
      (cause: unknown) => {
        if (this.#attempt !== attempt) return;
        this.#drop(
          cause instanceof OrielError && cause.action === "stop"
            ? cause
            : new OrielError("credential", "not available", { cause }),
        );
      },
    );
  }

  /** Gives the attempt its time until the welcome. */
  #await(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(
      () => this.#drop(new OrielError("timeout", "no welcome in time")),
      this.#options.connectTimeout ?? 15_000,
    );
  }

  #dial(token: string): void {
    this.#attempt = undefined;
    this.#hellos = 0;
    this.#holed = false;
    const first = this.#options.firstMessage === true && token !== "";
    let socket: Socket;
    try {
      const WebSocket =
        this.#options.WebSocket ?? (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
      if (!WebSocket) throw new Error("this platform has no WebSocket; hand one in");
      const protocols = ["oriel.v1.json"];
      if (token && !first) protocols.push(`bearer.${token}`);
      socket = new WebSocket(address(this.#options), protocols);
    } catch (cause) {
      // A bad address or a token with characters that cannot travel: no server was asked.
      this.#drop(new OrielError("invalid", cause instanceof Error ? cause.message : "", { cause }));
      return;
    }
    this.#socket = socket;
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      if (first) this.#send(JSON.stringify({ type: "auth", token }));
      this.#hello();
    };
    socket.onmessage = (message: { data: unknown }) => {
      if (this.#socket === socket) this.#receive(message.data);
    };
    socket.onclose = (close: { code: number; reason: string }) => {
      if (this.#socket === socket) this.#drop(closeError(close.code, close.reason));
    };
    socket.onerror = () => {}; // a close follows; without a listener `ws` would throw
  }

  #hello(): void {
    const hello = {
      id: this.#hellos || undefined,
      session: this.#session || undefined,
      incarnation: this.#place?.incarnation,
      offset: this.#place?.offset,
    };
    this.#send(encode("hello", hello, this.#options.hello));
  }

  /**
   * Something may have been lost on this connection: says hello on it again. Until the welcome
   * nothing is believed, and then it is as after a reconnect.
   */
  #resync(): void {
    const socket = this.#socket;
    this.#hellos++;
    this.#outbox.disconnected();
    this.#requests.disconnected();
    this.#await();
    if (this.#live()) this.#set({ name: "connecting", attempt: this.#backoff.attempt + 1 });
    if (this.#socket === socket) this.#hello(); // else an observer closed the client
  }

  /** Sends on a socket that is open. What a dying socket swallows is sent again after it. */
  #send(text: string): boolean {
    if (!this.#socket) return false;
    this.#heartbeat.sent();
    try {
      this.#socket.send(text);
    } catch {
      // Only a socket that is not open throws; its close follows.
    }
    return true;
  }

  #receive(data: unknown): void {
    this.#heartbeat.heard();
    try {
      if (typeof data !== "string") throw new OrielError("unsupported_encoding");
      const message = decode(data);
      const id = this.#hellos || undefined;
      if (message.type === "resync") this.#resync();
      else if (this.#live()) this.#handle(message);
      else if (message.type === "welcome" && message.id === id) this.#enter(message);
      else if (message.type !== "pong" && !id) throw new OrielError("wrong_order", message.type);
    } catch (cause) {
      // The room broke the protocol: the next connection may fare better.
      const text = cause instanceof Error ? cause.message : "";
      this.#drop(new OrielError("malformed", text, { cause, action: "retry" }));
    }
  }

  #enter(welcome: Welcome): void {
    const same = this.#session !== "" && this.#session === welcome.session;
    const from = this.#place;
    this.#session = welcome.session;
    this.#welcome = welcome;
    this.#refused = undefined;
    if (!welcome.resumed || !from) this.#place = head(welcome);
    this.#presence.apply(welcome);
    this.#heartbeat.start(welcome.heartbeat);
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => {
      this.#backoff.attempt = 0;
    }, this.#backoff.stable);
    if (!this.#outbox.welcome(welcome.seq, same, welcome.limits)) {
      this.#lose();
      return;
    }
    this.#set({ name: "open", welcome });
    if (this.#welcome !== welcome || !this.#live()) return; // an observer closed the client
    const { reason } = welcome;
    if (!welcome.resumed && reason && reason !== "new") {
      this.#emitter.emit("gap", { reason, from, to: head(welcome) });
    }
    this.#emitter.emit("presence", this.#presence);
    this.#requests.live();
  }

  #handle(message: RoomMessage): void {
    switch (message.type) {
      case "event": {
        const { offset } = message.body;
        if (offset !== undefined) {
          if (offset !== (this.#place?.offset ?? 0) + 1) {
            // A hole cannot be: resuming from the last place that is certain closes it.
            if (this.#holed) throw new Error(`offset ${offset}`);
            this.#holed = true;
            this.#resync();
            return;
          }
          const incarnation = message.incarnation ?? this.#place?.incarnation ?? "";
          this.#place = { incarnation, offset };
        }
        this.#emitter.emit("event", message.body);
        break;
      }
      case "signal":
        if (message.body.event.startsWith(notifyPrefix))
          this.#emitter.emit("notify", {
            event: message.body.event.slice(notifyPrefix.length),
            data: message.body.data,
          });
        else this.#emitter.emit("signal", message.body);
        break;
      case "presence":
        this.#presence.apply(message);
        this.#emitter.emit("presence", this.#presence);
        break;
      case "ack":
        this.#outbox.answer(message.seq, message.offset);
        break;
      case "response":
        this.#requests.response(message.id, message.data);
        break;
      case "error":
        this.#error(message);
        break;
      case "more":
        this.#send(more);
        break;
      case "welcome":
        throw new Error("a second welcome");
    }
  }

  #error(m: RoomMessage & { type: "error" }): void {
    const error = (outcome?: "refused"): OrielError =>
      new OrielError(m.code, m.message, { retry: m.retry, outcome });
    if (m.seq !== undefined) {
      if (m.retry !== undefined) {
        if (!this.#outbox.refuse(m.seq, error(), m.expected)) this.#lose();
      } else if (m.code === "session_lost") this.#lose();
      else this.#outbox.answer(m.seq, error("refused"));
    } else if (m.id !== undefined) this.#requests.error(m.id, error());
    else this.#emitter.emit("error", error());
  }

  /** The room does not know the session any more, or forgot what it had acknowledged. */
  #lose(): void {
    this.#session = "";
    this.#outbox.lose();
    this.#drop(new OrielError("session_lost", "", { action: "retry" }));
  }

  /** The attempt or the connection has ended. */
  #drop(why: OrielError): void {
    const socket = this.#detach();
    if (socket) {
      shut(socket, 4000);
      // Nobody is there to answer the close.
      if (why.code === "heartbeat_timeout") socket.terminate?.();
    }
    if (why.action === "stop") {
      this.#end(why);
      return;
    }
    this.#outbox.disconnected();
    this.#requests.disconnected();
    const again = why.action === "reauthenticate";
    this.#refused = again ? why : undefined;
    const first = this.#backoff.attempt === 0;
    const delay = this.#backoff.next(why.retry);
    this.#notBefore = this.#clock.now() + (why.retry ?? 0);
    this.#wait(why, again && first ? (why.retry ?? 0) : delay);
  }

  #wait(why: OrielError, delay: number): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => this.#connect(), delay);
    this.#set({ name: "waiting", until: this.#clock.now() + delay, why });
  }

  /** Takes leave of the socket, the timers and the attempt. */
  #detach(): Socket | undefined {
    this.#clock.clearTimeout(this.#timer);
    this.#heartbeat.stop();
    this.#attempt = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
    return socket;
  }

  #end(why: OrielError): void {
    this.#unwatch?.();
    const { message, action, cause } = why;
    this.#outbox.close((outcome) => new OrielError(why.code, message, { outcome, action, cause }));
    this.#requests.close(why);
    this.#set({ name: "closed", why });
  }

  #keep(): void {
    const { storage } = this.#options;
    if (!storage || !this.#session) return;
    save(storage, this.#key, { session: this.#session, place: this.#place });
  }

  #take(): void {
    const { storage } = this.#options;
    const saved = storage && takeSaved(storage, this.#key);
    if (!saved || this.#session) return;
    this.#session = saved.session;
    this.#place = saved.place ?? this.#place;
  }
}

function head(welcome: Welcome): Place {
  return { incarnation: welcome.incarnation, offset: welcome.offset };
}

function shut(socket: Socket, code: number): void {
  try {
    socket.close(code);
  } catch {
    // Closed already.
  }
}
