// The worker that the benchmarks compare with: a front without admission, before chat rooms or before
// objects that do nothing. Never deployed.

import { DurableObject } from "cloudflare:workers";
import shipped from "../build/app/shipped.wasm";
import { roomClass } from "../host/object.ts";
import { Pool } from "../host/pool.ts";
import type { RoomStub, Service } from "../host/service.ts";
import { visitHeader, visitValue } from "../host/visit.ts";

interface Env {
  CHAT: DurableObjectNamespace;
  EMPTY: DurableObjectNamespace;
}

function service(env: unknown): Service {
  const { CHAT } = env as Env;
  return {
    room: (kind, room) => CHAT.get(CHAT.idFromName(`${kind}/${room}`)) as unknown as RoomStub,
    presence: () => undefined,
  };
}

export class Chat extends roomClass(new Pool(shipped), service) {}

/** Accepts a socket, and that is all. */
export class Empty extends DurableObject {
  override fetch(): Response {
    const pair = new WebSocketPair();
    this.ctx.acceptWebSocket(pair[1]);
    return new Response(null, {
      status: 101,
      webSocket: pair[0],
      headers: { "sec-websocket-protocol": "oriel.v1.json" },
    });
  }

  override webSocketClose(ws: WebSocket): void {
    ws.close();
  }
}

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    const room = url.pathname.split("/").at(-1) ?? "";
    if (url.pathname.startsWith("/bare/")) return env.EMPTY.get(env.EMPTY.idFromName(room)).fetch(request);
    const headers = new Headers(request.headers);
    const to = url.searchParams.has("report") ? "report" : "socket";
    headers.set(visitHeader, visitValue({ to, kind: "chat", room, user: "ann", protocol: "oriel.v1.json" }));
    return env.CHAT.get(env.CHAT.idFromName(`chat/${room}`)).fetch(new Request(request, { headers }));
  },
} satisfies ExportedHandler<Env>;
