import { codes, limits } from "./abi.gen.ts";
import { codeInfo } from "./code.ts";
import type { RespondEffect } from "./effect.ts";

/** Fields of an answer that are the server's to set (RFC 9110, section 7.6.1), whatever a room says. */
const ours = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** The answer to a request that no room answers: a status, and a body that scripts can read. */
export function errorResponse(code: number, retry = 0, detail = ""): Response {
  const info = codeInfo(code);
  const headers = new Headers({
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  if (retry > 0) headers.set("retry-after", String(Math.ceil(retry / 1000)));
  const status = info.status < 400 ? 500 : info.status;
  if (status === 401) headers.set("www-authenticate", "Bearer");
  const message = detail === "" ? info.text : `${info.text} (${detail})`;
  return new Response(JSON.stringify({ code: info.name, message, ...(retry > 0 && { retry }) }), { status, headers });
}

/** What a room answered. A browser must not guess that it is a page. */
export function roomResponse(a: RespondEffect): Response {
  const headers = new Headers({
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-type": "application/octet-stream",
  });
  const set = new Set<string>();
  for (const { name, value } of a.headers) {
    const lower = name.toLowerCase();
    if (ours.has(lower)) continue;
    try {
      if (set.has(lower)) headers.append(name, value);
      else headers.set(name, value);
      set.add(lower);
    } catch {
      // a value that this platform cannot write
    }
  }
  const empty = a.status === 204 || a.status === 205 || a.status === 304;
  return new Response(empty ? null : a.body, { status: a.status, headers });
}

/** How long a request waits for the room's answer, in ms. */
export const requestTimeout = 30_000;

/** Reads at most so many bytes of a body, by default 1 MiB; undefined if it is larger. */
export async function bodyOf(r: Request, most: number = limits.maxBody): Promise<Uint8Array | undefined> {
  if (Number(r.headers.get("content-length") ?? 0) > most) return undefined;
  if (r.body === null) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of r.body as ReadableStream<Uint8Array>) {
    size += part.length;
    if (size > most) return undefined;
    parts.push(part);
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

/** Requests that wait for their room's answer. */
export class Requests {
  readonly #waiting = new Map<bigint, (r: Response) => void>();

  /** The answer, at the latest after {@link requestTimeout}. */
  wait(id: bigint): Promise<Response> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#settle(id, errorResponse(codes.timeout, 1000)), requestTimeout);
      this.#waiting.set(id, (r) => {
        clearTimeout(timer);
        resolve(r);
      });
    });
  }

  /** Answers; a second answer does nothing. */
  respond(e: RespondEffect): void {
    if (this.#waiting.has(e.request)) this.#settle(e.request, roomResponse(e));
  }

  fail(id: bigint, code: number, retry: number): void {
    if (this.#waiting.has(id)) this.#settle(id, errorResponse(code, retry));
  }

  #settle(id: bigint, r: Response): void {
    const resolve = this.#waiting.get(id);
    this.#waiting.delete(id);
    resolve?.(r);
  }
}
