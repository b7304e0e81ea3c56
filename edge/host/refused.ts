// A client that its room refuses never costs the object a socket: the object answers with what the
// client has to be told, and the front, which is not billed by time, tells it. A browser does
// not show its page the status of a failed upgrade, so the upgrade is completed first.

import { effectsBytes, effectsOf } from "./batch.ts";
import { cutReason, echoCode } from "./code.ts";
import type { Effect } from "./effect.ts";
import { bytesOf, stringOf } from "./wire.ts";

/** Marks the answer of an object that refuses a client. */
export const refusedHeader = "oriel-refused";

/** What a refused client is told. */
export interface Refused {
  frames: readonly (string | Uint8Array)[];
  code: number;
  reason: string;
}

/** The object's answer to the front. */
export function refusedResponse(r: Refused): Response {
  const connection = 1n;
  const effects: Effect[] = r.frames.map((f) =>
    typeof f === "string"
      ? { type: "send", connection, encoding: "text", key: "", data: bytesOf(f) }
      : { type: "send", connection, encoding: "binary", key: "", data: f },
  );
  effects.push({ type: "close", connection, code: echoCode(r.code), reason: cutReason(r.reason) });
  return new Response(effectsBytes(effects), { status: 403, headers: { [refusedHeader]: "1" } });
}

/** Reads the object's answer; undefined if it is another one. */
export async function refusedOf(response: Response): Promise<Refused | undefined> {
  if (!response.headers.has(refusedHeader)) return undefined;
  const frames: (string | Uint8Array)[] = [];
  let end = { code: 1011, reason: "" };
  for (const e of effectsOf(new Uint8Array(await response.arrayBuffer()))) {
    if (e.type === "send") frames.push(e.encoding === "text" ? stringOf(e.data) : e.data);
    else if (e.type === "close") end = e;
  }
  return { frames, code: end.code, reason: end.reason };
}

/** Completes the upgrade, tells the client, and closes. */
export function refuseSocket(r: Refused, protocol: string): Response {
  const pair = new WebSocketPair();
  pair[1].accept();
  for (const f of r.frames) pair[1].send(f);
  pair[1].close(r.code, r.reason);
  const headers = new Headers();
  if (protocol !== "") headers.set("sec-websocket-protocol", protocol);
  return new Response(null, { status: 101, webSocket: pair[0], headers });
}
