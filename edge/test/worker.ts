// The worker that the host's tests run: one module's objects, and a front that believes whatever its
// query says. Never deployed.

import conformance from "../build/test/conformance.wasm";
import plain from "../build/test/plain.wasm";
import probe from "../build/test/probe.wasm";
import { roomClass } from "../host/object.ts";
import type { Find } from "../host/outbox.ts";
import { Pool } from "../host/pool.ts";
import { refusedOf, refuseSocket } from "../host/refused.ts";
import { visitHeader, visitValue } from "../host/visit.ts";
import { replayClass } from "./replay.ts";

interface Env {
  ROOM: DurableObjectNamespace;
  PLAIN: DurableObjectNamespace;
  REPLAY: DurableObjectNamespace;
}

function find(env: unknown): Find {
  const { ROOM } = env as Env;
  return (kind, room) => (kind === "nobody" ? undefined : ROOM.get(ROOM.idFromName(`${kind}/${room}`)));
}

export class Room extends roomClass(new Pool(probe), find) {}
export class Plain extends roomClass(new Pool(plain, { alone: true }), find) {}
export class Replay extends replayClass(conformance) {}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname.startsWith("/replay/")) return env.REPLAY.get(env.REPLAY.idFromName(url.pathname)).fetch(request);
    const [, , , kind = "", room = "", ...rest] = url.pathname.split("/");
    const q = url.searchParams;
    const namespace = q.has("plain") ? env.PLAIN : env.ROOM;
    const headers = new Headers(request.headers);
    headers.set(
      visitHeader,
      visitValue({
        to: q.has("report") ? "report" : request.headers.get("upgrade") === "websocket" ? "socket" : "request",
        kind,
        room,
        user: q.get("user") ?? "",
        claims: q.get("claims") ?? "",
        protocol: q.get("protocol") ?? "",
        address: "127.0.0.1",
        expires: Number(q.get("expires") ?? 0),
        query: url.search.slice(1),
        path: rest.length > 0 ? `/${rest.join("/")}` : "",
      }),
    );
    const response = await namespace
      .get(namespace.idFromName(`${kind}/${room}`))
      .fetch(new Request(request, { headers }));
    const refused = await refusedOf(response);
    return refused === undefined ? response : refuseSocket(refused, q.get("protocol") ?? "");
  },
};
