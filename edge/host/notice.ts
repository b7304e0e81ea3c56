// What rooms and presence objects say to each other about users.

import type { Standing } from "./users.ts";
import { bytesOf } from "./wire.ts";

/** A room's word on one user: present, or, with no connections, gone. */
export interface Notice extends Standing {
  user: string;
  /** Rises in each room, so that a notice that comes late or twice changes nothing. */
  number: number;
}

/** A room's answer about users; those who are not in it are not there. */
export interface Present {
  /** The answer knows of all notices below this number, and of none from it on. */
  number: number;
  users: Map<string, Standing>;
}

/** The number of presence objects. It is for ever: users would be looked for in the wrong place. */
export const shards = 32;

/** The shard of a user: FNV-1a of the UTF-8 bytes. */
export function shardOf(user: string): number {
  let h = 0x811c9dc5;
  for (const b of bytesOf(user)) h = Math.imul(h ^ b, 0x01000193) >>> 0;
  return h % shards;
}
