import { limits } from "./abi.gen.ts";

/**
 * Reports whether s may name a kind or a room: 1 to 128 of `A-Z a-z 0-9 . _ ~ -`, and neither
 * `.` nor `..` (the unreserved characters of RFC 3986).
 */
export function validName(s: string): boolean {
  return s.length <= limits.maxName && s !== "." && s !== ".." && /^[A-Za-z0-9._~-]+$/.test(s);
}
