// What the worker does with a request after the front has judged it.

import { codes } from "../host/abi.gen.ts";
import { errorResponse } from "../host/answers.ts";
import { closeReason } from "../host/code.ts";
import { refusedOf, refuseSocket } from "../host/refused.ts";
import { visitHeader, visitValue } from "../host/visit.ts";
import type { Front, Settings, Verdict } from "./front.ts";

/** What the generated entry says of a deployment. */
export interface Service {
  front: Front;
  /** The objects' namespace of a kind; undefined if no module has it. */
  objects(kind: string): DurableObjectNamespace | undefined;
  settings: Settings;
  /** The page and its files. */
  assets: Fetcher | undefined;
}

/** Fields that no room gets: credentials, and what only the front may say. */
const stripped = ["authorization", "cookie", "sec-websocket-protocol", visitHeader];

export async function serve(request: Request, s: Service): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === "/healthz") return Response.json({ status: "ok" });
  if (!pathname.startsWith("/v1/")) return (await s.assets?.fetch(request)) ?? errorResponse(codes.notFound);
  const v = await s.front.judge(request, s.settings);
  switch (v.to) {
    case "token":
      return Response.json({ token: v.token }, { headers: { "cache-control": "no-store" } });
    case "socket":
    case "request":
      return forward(request, s, v);
    default:
      return refuse(v, v.code ?? codes.internal, 0, v.detail);
  }
}

async function forward(request: Request, s: Service, v: Verdict): Promise<Response> {
  const objects = s.objects(v.kind ?? "");
  if (objects === undefined) return refuse(v, codes.unknownKind);
  const headers = new Headers(request.headers);
  for (const name of stripped) headers.delete(name);
  headers.set(visitHeader, visitValue(v as Parameters<typeof visitValue>[0]));
  const object = objects.get(objects.idFromName(`${v.kind}/${v.room}`));
  let answer: Response;
  try {
    answer = await object.fetch(new Request(request, { headers }));
  } catch (fault) {
    // The object was reset under the request, or the platform has too much to do.
    console.error(JSON.stringify({ msg: "the object failed", room: `${v.kind}/${v.room}`, error: String(fault) }));
    return refuse({ ...v, upgrade: v.to === "socket" }, codes.roomUnavailable, 1000);
  }
  const refused = await refusedOf(answer);
  return refused === undefined ? answer : refuseSocket(refused, v.protocol ?? "");
}

/** A browser does not show its page the status of a failed upgrade: its socket is opened and closed. */
function refuse(v: Verdict, code: number, retry = 0, detail = ""): Response {
  if (!v.upgrade) return errorResponse(code, retry, detail);
  return refuseSocket({ frames: [], code, reason: closeReason(code, retry, detail) }, v.protocol ?? "");
}
