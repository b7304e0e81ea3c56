// The rooms that the conformance suite runs (conformance_test.go): the deployed object class with its own
// storage and sockets, and beside what clients can do, orders that only tests have. The clock of
// the whole worker stands still once an order has set it.

import { envelopeOf } from "../host/envelope.ts";
import type { Guest } from "../host/guest.ts";
import type { Journal } from "../host/log.ts";
import { roomClass } from "../host/object.ts";
import { Pool } from "../host/pool.ts";
import type { Service } from "../host/service.ts";
import { visitHeader } from "../host/visit.ts";

/** What the suite may ask of a room, in this order. */
export interface Order {
  /** Sets the clock, milliseconds since 1970; 0 lets it run. */
  clock?: number;
  /** Runs SQL in the room's database. */
  sql?: string;
  /** Which version of the module the rooms run that start from now on. */
  version?: 0 | 1;
  /** Lets the platform fire the object's alarm now. */
  ring?: boolean;
  /** Waits until so many messages of a user were handled, and the end of their connection. */
  user?: string;
  heard?: number;
  ended?: boolean;
  /** A last frame for every open connection: what came before it is all that came. */
  mark?: string;
}

/** What has happened since the last order that was answered. */
export interface Report {
  /** The users with an open connection. */
  open: string[];
  /** The causes of traps. */
  traps: string[];
  /** What the host says of itself that should never happen. */
  faults: string[];
}

const realNow = Date.now;
let clock: number | undefined;
Date.now = () => clock ?? realNow();

/** What an object has handled. One isolate runs all objects, and outlives them: this stays through their sleep. */
class Count {
  alarms = 0;
  /** Messages by user. */
  readonly messages = new Map<string, number>();
  /** The users whose connection has ended. */
  readonly ended = new Set<string>();
}

const counts = new Map<string, Count>();
const waiting: (() => void)[] = [];
let traps: string[] = [];
let faults: string[] = [];

const error = console.error;
console.error = (line: string) => {
  const { msg, cause } = (line.startsWith("{") ? JSON.parse(line) : { msg: line }) as { msg: string; cause: string };
  if (msg === "the room trapped") traps.push(cause);
  else if (msg.startsWith("the host")) faults.push(line);
  error(line);
};

function note(f: () => void): void {
  f();
  for (const resolve of waiting.splice(0)) resolve();
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise<void>((resolve) => waiting.push(resolve));
}

/** A pool whose module can be replaced, as a deployment does. */
class Versions extends Pool {
  readonly #next: Pool;
  version = 0;

  constructor(module: WebAssembly.Module, next: WebAssembly.Module) {
    super(module);
    this.#next = new Pool(next);
  }

  override guest(journal: Journal): Guest {
    return this.version === 0 ? super.guest(journal) : this.#next.guest(journal);
  }
}

/** The object class. `module` and `next` are two versions of the conformance module. */
export function kitClass(module: WebAssembly.Module, next: WebAssembly.Module) {
  const versions = new Versions(module, next);
  const service: Service = { bill: undefined, room: () => undefined, presence: () => undefined };
  const stateOf = (ws: WebSocket) => envelopeOf(ws.deserializeAttachment());
  const userOf = (ws: WebSocket) => stateOf(ws)?.connection.user ?? "";

  return class KitObject extends roomClass(versions, () => service) {
    override async fetch(request: Request): Promise<Response> {
      if (request.headers.has(visitHeader)) return super.fetch(request);
      return Response.json(await this.obey((await request.json()) as Order));
    }

    async obey(o: Order): Promise<Report> {
      const count = this.count();
      if (o.clock !== undefined) clock = o.clock || undefined;
      if (o.sql !== undefined) this.ctx.storage.sql.exec(o.sql);
      if (o.version !== undefined) versions.version = o.version;
      if (o.ring) {
        const before = count.alarms;
        await this.ctx.storage.setAlarm(realNow());
        await until(() => count.alarms > before);
      }
      const { user = "", heard = 0 } = o;
      await until(() => (count.messages.get(user) ?? 0) >= heard && (!o.ended || count.ended.has(user)));
      const open: string[] = [];
      for (const ws of this.ctx.getWebSockets()) {
        if (stateOf(ws)?.state !== "open" || count.ended.has(userOf(ws))) continue;
        open.push(userOf(ws));
        if (o.mark !== undefined) ws.send(o.mark);
      }
      const report = { open, traps, faults };
      traps = [];
      faults = [];
      return report;
    }

    count(): Count {
      const name = this.ctx.id.name ?? "";
      const count = counts.get(name) ?? new Count();
      counts.set(name, count);
      return count;
    }

    override webSocketMessage(ws: WebSocket, message: string | ArrayBuffer): void {
      const { messages } = this.count();
      const user = userOf(ws);
      super.webSocketMessage(ws, message);
      note(() => messages.set(user, (messages.get(user) ?? 0) + 1));
    }

    override webSocketClose(ws: WebSocket, code: number, reason: string, clean: boolean): void {
      super.webSocketClose(ws, code, reason, clean);
      note(() => this.count().ended.add(userOf(ws)));
    }

    override webSocketError(ws: WebSocket): void {
      super.webSocketError(ws);
      note(() => this.count().ended.add(userOf(ws)));
    }

    override alarm(): void {
      super.alarm();
      note(() => this.count().alarms++);
    }
  };
}
