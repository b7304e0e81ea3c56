// What the worker does with a request after the front has judged it.

import { codes, limits } from "../host/abi.gen.ts";
import { bodyOf, errorResponse } from "../host/answers.ts";
import { closeReason } from "../host/code.ts";
import { validNotification } from "../host/event.ts";
import { shardOf } from "../host/notice.ts";
import { refusedOf, refuseSocket } from "../host/refused.ts";
import type { Service } from "../host/service.ts";
import { roomHeaders, visitHeader, visitValue } from "../host/visit.ts";
import { billResponse } from "./bill.ts";
import type { Front, Settings } from "./front.ts";
import type { Verdict } from "./verdict.ts";

/** What the generated entry says of a deployment. */
export interface Deployment extends Service {
  front: Front;
  settings: Settings;
  /** Bounds what one address may open, and ask about users; undefined: no bound. */
  connects: RateLimit | undefined;
  asks: RateLimit | undefined;
  /** The page and its files. */
  assets: Fetcher | undefined;
}

/** What an upgrade asks an object for: all that it has to know is in the visit. */
const origin = "https://room.invalid/";

export async function serve(request: Request, s: Deployment): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === "/healthz" || pathname === "/readyz") return Response.json({ status: "ok" });
  if (!pathname.startsWith("/v1/")) return (await s.assets?.fetch(request)) ?? errorResponse(codes.notFound);
  if (pathname === "/v1/dev/bill") return billResponse(request, s.bill);
  const v = s.front.judge(request, s.settings);
  const opens = v.to === "socket" || v.to === "wait";
  const limit = opens || v.upgrade ? s.connects : v.to === "presence" ? s.asks : undefined;
  if (v.key !== undefined && limit !== undefined && !(await within(limit, v.key)))
    return refuse({ ...v, upgrade: opens || v.upgrade === true }, codes.rateLimited, limitRetry);
  switch (v.to) {
    case "token":
      return Response.json({ token: v.token }, { headers: { "cache-control": "no-store" } });
    case "socket":
    case "wait":
    case "request":
      return forward(request, s, v);
    case "presence":
      return presence(s, v.user ?? "");
    case "notify":
      return notify(request, s, v);
    default:
      return refuse(v, v.code ?? codes.internal, 0, v.detail);
  }
}

/** How long a client that is over a limit should wait, in ms: the limits count by 10 s. */
const limitRetry = 10_000;

/** A limiter that fails lets everybody in: it protects a bill, not a secret. */
async function within(limit: RateLimit, key: string): Promise<boolean> {
  try {
    return (await limit.limit({ key })).success;
  } catch {
    return true;
  }
}

/** Hands an admitted request to its room's object, and the object's answer to the client. */
export async function forward(request: Request, s: Pick<Service, "room">, v: Verdict): Promise<Response> {
  let answer: Response;
  try {
    const object = s.room(v.kind ?? "", v.room ?? "");
    if (object === undefined) return refuse({ ...v, upgrade: v.to !== "request" }, codes.unknownKind);
    answer = await object.fetch(visiting(request, v));
  } catch (fault) {
    // The object was reset under the request, or the platform has too much to do.
    console.error(JSON.stringify({ msg: "the object failed", room: `${v.kind}/${v.room}`, error: String(fault) }));
    return refuse({ ...v, upgrade: v.to !== "request" }, codes.roomUnavailable, 1000);
  }
  if (answer.status === 101) return answer;
  const refused = await refusedOf(answer);
  return refused === undefined ? answer : refuseSocket(refused, v.protocol ?? "");
}

/** Fields that no object gets: credentials. */
const stripped = ["authorization", "cookie", "sec-websocket-protocol"];

/**
 * The request as the object gets it: what a room may see, and who comes. A socket that waits brings its whole
 * head along, because the front is asked about it again. Credentials are left behind.
 */
function visiting(request: Request, v: Verdict): Request {
  const visit = visitValue(v as Parameters<typeof visitValue>[0]);
  if (v.to === "socket") return new Request(origin, { headers: { upgrade: "websocket", [visitHeader]: visit } });
  if (v.to === "wait") {
    const head = new Headers(request.headers);
    for (const name of stripped) head.delete(name);
    head.set(visitHeader, visit);
    return new Request(request, { headers: head });
  }
  const headers = new Headers({ [visitHeader]: visit });
  for (const name of roomHeaders) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Request(request, { headers });
}

/** Where a user is. */
async function presence(s: Deployment, user: string): Promise<Response> {
  try {
    const object = s.presence(shardOf(user));
    if (object === undefined) return errorResponse(codes.notFound);
    const answer = await object.of(user);
    if (answer !== undefined) return Response.json(answer, { headers: { "cache-control": "no-store" } });
  } catch (fault) {
    console.error(JSON.stringify({ msg: "the presence object failed", error: String(fault) }));
  }
  return errorResponse(codes.roomUnavailable, 1000, "presence");
}

/** Says the body of a request to a user on all devices. */
export async function notify(request: Request, s: Pick<Service, "presence">, v: Verdict): Promise<Response> {
  const event = new URLSearchParams(v.query).get("event") ?? "";
  if (!validNotification(event)) return errorResponse(codes.invalid);
  const data = await bodyOf(request, limits.maxNotify);
  if (data === undefined) return errorResponse(codes.tooLarge);
  const binary = request.headers.get("content-type") === "application/octet-stream";
  if (!binary && data.length > 0 && !isJSON(data)) return errorResponse(codes.malformed);
  try {
    const object = s.presence(shardOf(v.user ?? ""));
    if (object === undefined) return errorResponse(codes.notFound);
    const encoding = binary ? "binary" : "text";
    const devices = await object.notify(v.user ?? "", { fromKind: "", fromRoom: "", event, encoding, data });
    if (devices !== undefined) return Response.json({ devices }, { headers: { "cache-control": "no-store" } });
  } catch (fault) {
    console.error(JSON.stringify({ msg: "the presence object failed", error: String(fault) }));
  }
  return errorResponse(codes.roomUnavailable, 1000, "presence");
}

function isJSON(b: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(b));
    return true;
  } catch {
    return false;
  }
}

/** A browser does not show its page the status of a failed upgrade: its socket is opened and closed. */
function refuse(v: Verdict, code: number, retry = 0, detail = ""): Response {
  if (!v.upgrade) return errorResponse(code, retry, detail);
  return refuseSocket({ frames: [], code, reason: closeReason(code, retry, detail) }, v.protocol ?? "");
}
