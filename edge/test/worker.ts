// The worker that the host's tests run: one module's objects, and a front that believes whatever its
// query says. Never deployed.

import "../build/test/wasm_exec.js";
import conformance from "../build/test/conformance.wasm";
import conformanceNext from "../build/test/conformance-next.wasm";
import frontModule from "../build/test/front.wasm";
import guest from "../build/test/guest.wasm";
import plain from "../build/test/plain.wasm";
import probe from "../build/test/probe.wasm";
import { Bill } from "../host/bill.ts";
import { shardOf } from "../host/notice.ts";
import { roomClass } from "../host/object.ts";
import { Pool } from "../host/pool.ts";
import { presenceClass } from "../host/presence.ts";
import { refusedOf, refuseSocket } from "../host/refused.ts";
import type { PresenceStub, RoomStub, Service } from "../host/service.ts";
import { visitHeader, visitValue } from "../host/visit.ts";
import { billResponse } from "../worker/bill.ts";
import { Front } from "../worker/front.ts";
import { forward, notify } from "../worker/serve.ts";
import { kitClass } from "./kit.ts";
import { replayClass } from "./replay.ts";

interface Env {
  ROOM: DurableObjectNamespace;
  PLAIN: DurableObjectNamespace;
  SMALL: DurableObjectNamespace;
  SHORT: DurableObjectNamespace;
  FEW: DurableObjectNamespace;
  GUEST: DurableObjectNamespace;
  REPLAY: DurableObjectNamespace;
  KIT: DurableObjectNamespace;
  PRESENCE: DurableObjectNamespace;
}

/** Rooms do not answer each other. All objects of a local worker share its globals. */
let away = false;
const gone: RoomStub = {
  fetch: async () => new Response(null, { status: 503 }),
  present: () => Promise.reject(new Error("away")),
  watched: () => Promise.reject(new Error("away")),
  devices: () => Promise.reject(new Error("away")),
  notified: () => Promise.reject(new Error("away")),
};

const bill = new Bill();

function service(env: unknown): Service {
  const { ROOM, PRESENCE } = env as Env;
  return {
    bill,
    room: (kind, room) =>
      kind === "nobody"
        ? undefined
        : away
          ? gone
          : (ROOM.get(ROOM.idFromName(`${kind}/${room}`)) as unknown as RoomStub),
    presence: (shard) => PRESENCE.get(PRESENCE.idFromName(String(shard))) as unknown as PresenceStub,
  };
}

export class Room extends roomClass(new Pool(probe), service) {
  override async fetch(request: Request): Promise<Response> {
    if (new URL(request.url).searchParams.has("abort")) this.ctx.abort("as the test asked");
    return super.fetch(request);
  }
}
export class Plain extends roomClass(new Pool(plain, { alone: true }), service) {}
/** The presence objects hear nothing. All objects of a local worker share its globals. */
let deaf = false;

async function presence(env: Env, url: URL): Promise<Response> {
  const user = decodeURIComponent(url.pathname.slice("/presence/".length));
  const object = env.PRESENCE.get(env.PRESENCE.idFromName(String(shardOf(user))));
  if (url.searchParams.has("deaf")) deaf = url.searchParams.get("deaf") === "1";
  if (url.searchParams.has("away")) away = url.searchParams.get("away") === "1";
  if (url.searchParams.has("sweep"))
    return Response.json(await (object as unknown as { sweep(): Promise<number> }).sweep());
  return Response.json(await (object as unknown as PresenceStub).of(user));
}

export class Presence extends presenceClass(service) {
  override async told(...args: Parameters<PresenceStub["told"]>): Promise<boolean> {
    return deaf ? false : super.told(...args);
  }

  /** What the alarm does, for tests that do not wait. */
  async sweep(): Promise<number | null> {
    await this.alarm();
    return this.ctx.storage.getAlarm();
  }
}
/** Every turn leaves the memory above its mark. */
export class Small extends roomClass(new Pool(probe, { memoryMark: 1 }), service) {}
/** Rooms are forgotten as soon as another room has a turn. */
export class Short extends roomClass(new Pool(probe, { forgetAfter: -1 }), service) {}
/** An object has three sockets at most. */
export class Few extends roomClass(new Pool(probe), service, 3) {}
/** The runtime's own test guest, written against the ABI: it breaks what no SDK lets a room break. */
export class Guest extends roomClass(new Pool(guest), service) {}
export class Replay extends replayClass(conformance) {}
export class Kit extends kitClass(conformance, conformanceNext) {}

const front = new Front(frontModule, "[]");

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname.startsWith("/replay/")) return env.REPLAY.get(env.REPLAY.idFromName(url.pathname)).fetch(request);
    if (url.pathname.startsWith("/kit/")) {
      const response = await env.KIT.get(env.KIT.idFromName(url.pathname.slice("/kit/".length))).fetch(request);
      const refused = await refusedOf(response);
      return refused === undefined ? response : refuseSocket(refused, "");
    }
    if (url.pathname.startsWith("/front/")) {
      const verdict = front.judge(new Request(new URL(url.pathname.slice("/front".length), url), request), {});
      return Response.json({ verdict, stats: front.stats });
    }
    if (url.pathname === "/v1/dev/bill") return billResponse(request, bill);
    if (url.pathname.startsWith("/presence/")) return presence(env, url);
    if (url.pathname.startsWith("/notify/")) {
      const user = decodeURIComponent(url.pathname.slice("/notify/".length));
      return notify(request, service(env), { to: "notify", user, query: url.search.slice(1) });
    }
    const [, , , kind = "", room = "", ...rest] = url.pathname.split("/");
    const q = url.searchParams;
    const { PLAIN, SMALL, SHORT, FEW, GUEST, ROOM } = env;
    const special = Object.entries({ plain: PLAIN, small: SMALL, short: SHORT, few: FEW, guest: GUEST });
    const namespace = special.find(([name]) => q.has(name))?.[1] ?? ROOM;
    const object = namespace.get(namespace.idFromName(`${kind}/${room}`)) as unknown as RoomStub;
    const visit = {
      kind,
      room,
      user: q.get("user") ?? "",
      claims: q.get("claims") ?? "",
      protocol: q.get("protocol") ?? "",
      address: "127.0.0.1",
      expires: Number(q.get("expires") ?? 0),
      query: url.search.slice(1),
      path: rest.length > 0 ? `/${rest.join("/")}` : "",
    };
    if (q.has("report"))
      return object.fetch(new Request(url, { headers: { [visitHeader]: visitValue({ ...visit, to: "report" }) } }));
    const to = request.headers.get("upgrade") === "websocket" ? "socket" : "request";
    return forward(request, { room: () => object }, { ...visit, to });
  },
};
