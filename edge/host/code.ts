import { type CodeInfo, codeTable, limits } from "./abi.gen.ts";
import { bytesOf, stringOf } from "./wire.ts";

const byNumber = new Map<number, CodeInfo>(codeTable.map((row) => [row.code, row]));

/** The row of a code. A number of the room's own gets a row of its own. */
export function codeInfo(code: number): CodeInfo {
  return (
    byNumber.get(code) ?? { code, name: `code_${code}`, status: 500, action: "stop", text: "A code of the room's own." }
  );
}

/** Reports whether a code may stand in a close frame (RFC 6455, section 7.4). */
export function sendable(code: number): boolean {
  return (code >= 3000 && code < 5000) || (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

/** The code that answers a peer's close frame: 1005, 1006 and 1015 never travel. */
export function echoCode(code: number): number {
  return sendable(code) ? code : 1000;
}

/** Builds a close reason: the code's name, the suggested delay in ms, a detail for people. */
export function closeReason(code: number, retry = 0, detail = ""): string {
  let s = codeInfo(code).name;
  if (retry > 0) s += `; retry=${Math.floor(retry)}`;
  if (detail !== "") s += `; ${detail}`;
  return cutReason(s);
}

/** Cuts a close reason to the 123 bytes of a close frame, in whole characters. */
export function cutReason(s: string): string {
  const b = bytesOf(s);
  if (b.length <= limits.maxCloseReason) return s;
  let n: number = limits.maxCloseReason;
  while (n > 0 && ((b[n] as number) & 0xc0) === 0x80) n--;
  return stringOf(b.subarray(0, n));
}
