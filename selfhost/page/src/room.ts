import {
  Client,
  type Held,
  OrielError,
  type RoomEvent,
  type State,
} from "../../../rooms/client/ts/src/index.ts";
import type { Identity } from "./identity.ts";
import { read, tabStorage, write } from "./store.ts";
import { fields, Timeline } from "./timeline.ts";

/** A message of one's own that is not in the timeline yet. */
export interface Pending {
  readonly id: number;
  readonly text: string;
  readonly time: number;
  /** Why it failed; undefined while it is on its way. */
  failed: OrielError | undefined;
  /** Its event, or its acknowledgement, is there. */
  done: boolean;
}

/** What changed in a room, for who shows it. */
export type Change = "lines" | "state" | "people" | "typing" | "about" | "unread";

/** How long somebody counts as typing without another sign, in ms. */
const typingLasts = 5000;
/** How often a sign is sent while one's own user types, in ms. */
const typingEvery = 3000;
const pageSize = 50;

/** One room that the page has joined: its client, and what is known of it. */
export class Room {
  readonly name: string;
  readonly client: Client;
  readonly timeline = new Timeline();
  readonly typing = new Map<string, ReturnType<typeof setTimeout>>();
  pending: Pending[] = [];
  topic = "";
  slow = 0;
  role = "member";
  /** What the room asked to wait for, until it is over. */
  held: Held | undefined;
  unread = 0;
  /** The newest message that was seen, for the line above what is new. */
  lastRead: number;
  /** Where the line above what is new stands; 0: nowhere. */
  newSince = 0;
  older: "unknown" | "loading" | "some" | "none" | "failed" = "unknown";

  readonly #me: string;
  readonly #changed: (room: Room, change: Change, event?: RoomEvent) => void;
  #generation = 0; // rises when the timeline begins anew
  #nextPending = 1;
  #typed = 0;
  #seen = false; // somebody looks at it

  constructor(
    name: string,
    identity: Identity,
    changed: (room: Room, change: Change, event?: RoomEvent) => void,
  ) {
    this.name = name;
    this.#me = identity.user;
    this.#changed = changed;
    this.lastRead = Number(read("localStorage", `read:${identity.user}:${name}`)) || 0;
    this.client = new Client({
      url: location.origin,
      kind: "chat",
      room: name,
      credential: (request) => identity.credential(request),
      storage: tabStorage(),
    });
    this.client.on("state", (state) => this.#state(state));
    this.client.on("event", (event) => this.#event(event));
    this.client.on("presence", () => changed(this, "people"));
    this.client.on("signal", ({ event, from, data }) => {
      if (event === "typing" && from !== "" && from !== this.#me) this.#types(from, data === true);
    });
    this.client.on("gap", () => {
      this.timeline.clear();
      this.#generation++;
      this.older = "unknown";
      void this.loadOlder();
    });
    this.client.on("held", (held) => {
      this.held = held;
      changed(this, "lines");
    });
    this.client.open();
  }

  get moderates(): boolean {
    return this.role === "owner" || this.role === "moderator";
  }

  /** Sends a message; it is shown as pending at once. */
  say(text: string): void {
    const id = this.#nextPending++;
    const p: Pending = { id, text, time: Date.now(), failed: undefined, done: false };
    this.pending.push(p);
    this.stopTyping();
    this.client.publish("message", { text }).then(
      (offset) => {
        // The event may come before or after its acknowledgement.
        if (offset === undefined || this.timeline.get(offset)) this.#settled(p);
      },
      (error: unknown) => {
        p.done = false;
        p.failed = error instanceof OrielError ? error : new OrielError("failed");
        if (!this.pending.includes(p)) this.pending.push(p);
        this.#changed(this, "lines");
      },
    );
    this.#changed(this, "lines");
  }

  /** Sends a failed message again. */
  again(p: Pending): void {
    this.forget(p);
    this.say(p.text);
  }

  /** Takes a failed message away. */
  forget(p: Pending): void {
    this.pending = this.pending.filter((other) => other !== p);
    this.#changed(this, "lines");
  }

  /** Tells the others that the user types, now and then. */
  types(): void {
    const now = Date.now();
    if (now - this.#typed < typingEvery) return;
    if (this.client.signal("typing", true)) this.#typed = now;
  }

  stopTyping(): void {
    if (this.#typed) this.client.signal("typing", false);
    this.#typed = 0;
  }

  /** Reads the page of history before what is there. */
  async loadOlder(): Promise<void> {
    if (this.older === "loading" || this.older === "none") return;
    const generation = this.#generation;
    this.older = "loading";
    this.#changed(this, "lines");
    const first = this.timeline.oldest || (this.client.place?.offset ?? 0) + 1;
    try {
      const page = await this.client.history({ before: first, limit: pageSize });
      if (generation !== this.#generation) return;
      const initial = this.timeline.lines.length === 0;
      this.timeline.prepend(page.events);
      this.older = page.more ? "some" : "none";
      if (initial) this.#countUnread();
      // A page may hold nothing that is shown, such as edits only.
      if (page.more && this.timeline.lines.length < 20) void this.loadOlder();
    } catch {
      if (generation === this.#generation) this.older = "failed";
    }
    this.#changed(this, "lines");
  }

  /** The user looks at the room, or not any more. */
  look(seen: boolean): void {
    if (seen && !this.#seen) this.newSince = this.unread > 0 ? this.lastRead : 0;
    this.#seen = seen;
    if (seen) this.#read();
  }

  async close(): Promise<void> {
    for (const timer of this.typing.values()) clearTimeout(timer);
    this.typing.clear();
    await this.client.close();
  }

  #state(state: State): void {
    if (state.name === "open") {
      this.#about(fields(state.welcome.data));
      if (this.older === "unknown" || this.older === "failed") void this.loadOlder();
    } else {
      for (const user of [...this.typing.keys()]) this.#types(user, false);
    }
    this.#changed(this, "state");
  }

  #about(data: { readonly [name: string]: unknown }): void {
    if (typeof data.topic === "string") this.topic = data.topic;
    if (typeof data.slow === "number") this.slow = data.slow;
    if (typeof data.role === "string") this.role = data.role;
    this.#changed(this, "about");
  }

  #event(event: RoomEvent): void {
    const line = this.timeline.append(event);
    if (event.from === this.#me && line?.kind === "message") {
      const mine = this.pending.find((p) => !p.failed && p.text === line.text);
      if (mine) this.#settled(mine);
    }
    if (line?.kind === "topic") this.#about({ topic: line.text });
    if (line?.kind === "slow") this.#about({ slow: Number(line.text) });
    if (line?.kind === "message") {
      this.#types(event.from, false);
      if (this.#seen || event.from === this.#me) this.#read();
      else {
        this.unread++;
        this.#changed(this, "unread");
      }
    }
    this.#changed(this, "lines", line ? event : undefined);
  }

  #settled(p: Pending): void {
    p.done = true;
    this.held = undefined;
    this.pending = this.pending.filter((other) => other !== p);
    this.#changed(this, "lines");
  }

  #types(user: string, typing: boolean): void {
    const had = this.typing.has(user);
    clearTimeout(this.typing.get(user));
    this.typing.delete(user);
    if (typing && this.typing.size < 100) {
      this.typing.set(
        user,
        setTimeout(() => this.#types(user, false), typingLasts),
      );
    }
    if (had !== this.typing.has(user)) this.#changed(this, "typing");
  }

  /** Counts what came while the page was away, as far as it is loaded. */
  #countUnread(): void {
    if (this.#seen) {
      this.newSince = this.lastRead && this.lastRead < this.#newest() ? this.lastRead : 0;
      this.#read();
      return;
    }
    if (!this.lastRead) return; // a room that is new to the user is not news
    this.unread = this.timeline.lines.filter(
      (line) => line.kind === "message" && line.offset > this.lastRead && line.from !== this.#me,
    ).length;
    this.#changed(this, "unread");
  }

  #newest(): number {
    return this.timeline.lines.at(-1)?.offset ?? 0;
  }

  #read(): void {
    const newest = this.#newest();
    if (newest > this.lastRead) {
      this.lastRead = newest;
      write("localStorage", `read:${this.#me}:${this.name}`, String(newest));
    }
    if (this.unread) {
      this.unread = 0;
      this.#changed(this, "unread");
    }
  }
}
