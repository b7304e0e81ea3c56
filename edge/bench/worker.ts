// The worker that the benchmarks compare with: a front without admission before chat rooms, before
// objects that do nothing, and before partyserver. Never deployed.

import { DurableObject } from "cloudflare:workers";
import { type Connection, Server } from "partyserver";
import "../build/app/wasm_exec.js";
import frontModule from "../build/app/front.wasm";
import kinds from "../build/app/shipped.kinds.json";
import shipped from "../build/app/shipped.wasm";
import es256Module from "../build/bench/es256.wasm";
import { roomClass } from "../host/object.ts";
import { Pool } from "../host/pool.ts";
import type { RoomStub, Service } from "../host/service.ts";
import { visitHeader, visitValue } from "../host/visit.ts";
import { Front } from "../worker/front.ts";
import { webCrypto } from "./webcrypto.ts";

interface Env {
  CHAT: DurableObjectNamespace;
  EMPTY: DurableObjectNamespace;
  PARTY: DurableObjectNamespace;
  PARTY_IN_MEMORY: DurableObjectNamespace;
  /** Asked before a bare connect if it is there. */
  CONNECTS?: RateLimit;
  /** The HS256 secret and the ES256 key. */
  SECRET: string;
  KEY: string;
}

function service(env: unknown): Service {
  const { CHAT } = env as Env;
  return {
    room: (kind, room) => CHAT.get(CHAT.idFromName(`${kind}/${room}`)) as unknown as RoomStub,
    presence: () => undefined,
  };
}

export class Chat extends roomClass(new Pool(shipped), service) {}

/** Accepts a socket and answers its messages, and that is all. */
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

  override webSocketMessage(ws: WebSocket): void {
    ws.send('{"type":"welcome"}');
  }

  override webSocketClose(ws: WebSocket): void {
    ws.close();
  }
}

/** partyserver as it broadcasts from a sleeping room, a frame as long as a chat room's. */
export class Party extends Server {
  static override options = { hibernate: true };
  #count = 0;

  override onMessage(_: Connection, message: string): void {
    const { data } = JSON.parse(message) as { data: unknown };
    const event = { type: "event", event: "message", offset: ++this.#count, from: "u0", time: Date.now(), data };
    this.broadcast(JSON.stringify(event));
  }
}

/** The same without hibernation, which is partyserver's default. */
export class PartyInMemory extends Party {
  static override options = { hibernate: false };
}

const fronts = {
  hs256: new Front(frontModule, JSON.stringify(kinds)),
  es256: new Front(es256Module, "[]"),
};

/**
 * Judges each of the tokens in the body, by the Go front or, to compare, by WebCrypto alone. What the client
 * measures of it is the work, and little else.
 */
async function verdicts(request: Request, env: Env, by: string): Promise<Response> {
  const tokens = (await request.text()).split("\n").filter((t) => t !== "");
  const secret = by.endsWith("hs256") ? env.SECRET : env.KEY;
  let admitted = 0;
  for (const token of tokens) {
    if (by === "hs256" || by === "es256") {
      const headers = { authorization: `Bearer ${token}`, "cf-connecting-ip": "2001:db8::1" };
      const asked = new Request("https://oriel.test/v1/rooms/chat/lobby", { headers });
      if (fronts[by].judge(asked, { ORIEL_SECRET: secret }).to === "request") admitted++;
    } else if (await webCrypto(by, token, secret)) admitted++;
  }
  return Response.json({ admitted });
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    const [, to = "", room = ""] = url.pathname.split("/");
    const object = (objects: DurableObjectNamespace) => objects.get(objects.idFromName(room));
    switch (to) {
      case "bare":
        await env.CONNECTS?.limit({ key: request.headers.get("cf-connecting-ip") ?? "" });
        return object(env.EMPTY).fetch(request);
      case "party":
        return object(env.PARTY).fetch(request);
      case "party-in-memory":
        return object(env.PARTY_IN_MEMORY).fetch(request);
      case "verdicts":
        return verdicts(request, env, room);
    }
    const visit = {
      to: url.searchParams.has("report") ? ("report" as const) : ("socket" as const),
      user: url.searchParams.get("user") ?? "ann",
    };
    const headers = new Headers(request.headers);
    headers.set(visitHeader, visitValue({ ...visit, kind: "chat", room, protocol: "oriel.v1.json" }));
    return env.CHAT.get(env.CHAT.idFromName(`chat/${room}`)).fetch(new Request(request, { headers }));
  },
} satisfies ExportedHandler<Env>;
