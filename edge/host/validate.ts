import { limits } from "./abi.gen.ts";
import { effectsOf } from "./batch.ts";
import type { Effect } from "./effect.ts";
import type { RoomEvent } from "./event.ts";
import { maxTable, memberSize, type Table } from "./table.ts";
import { byteLength, FieldError } from "./wire.ts";

/**
 * Decodes a turn's effects and checks all limits, also those that only the host knows. Throws a
 * {@link FieldError}.
 */
export function validate(
  table: Table,
  watching: ReadonlySet<string>,
  events: readonly RoomEvent[],
  out: Uint8Array,
): Effect[] {
  const effects = effectsOf(out);
  checkUsers(watching, effects);
  const connecting = new Set<bigint>();
  for (const e of events) if (e.type === "connect") connecting.add(e.connection.id);
  const attached = new Map<bigint, number>();
  let grown = 0;
  for (const e of effects) {
    switch (e.type) {
      case "tags":
        if (!connecting.has(e.connection)) throw notConnecting("tags.connection");
        for (const t of e.tags) grown += byteLength(t) + 2;
        break;
      case "join":
        if (!connecting.has(e.connection)) throw notConnecting("join.connection");
        break;
      case "attach": {
        const before = attached.get(e.connection) ?? table.get(e.connection)?.connection.attachment.length ?? 0;
        attached.set(e.connection, e.data.length);
        grown += e.data.length - before;
        break;
      }
    }
  }
  if (grown <= 0) return effects;
  for (const e of events) if (e.type === "connect") grown += memberSize(e.connection);
  if (!table.fits(grown))
    throw new FieldError(
      "limit",
      "attach.data",
      `the attachments and tags of the room come to more than ${maxTable} bytes`,
    );
  return effects;
}

/** Bounds the users that a room watches and the notifications of a turn. */
function checkUsers(watching: ReadonlySet<string>, effects: readonly Effect[]): void {
  let watches = watching.size;
  let notifies = 0;
  const changed = new Map<string, boolean>();
  for (const e of effects) {
    if (e.type === "notify" && ++notifies > limits.maxNotifies)
      throw new FieldError("limit", "notify", "too many in one turn");
    if (e.type !== "watch" || (changed.get(e.user) ?? watching.has(e.user)) === e.on) continue;
    watches += e.on ? 1 : -1;
    if (watches > limits.maxWatches) throw new FieldError("limit", "watch.user", "too many users are watched");
    changed.set(e.user, e.on);
  }
}

function notConnecting(field: string): FieldError {
  return new FieldError("malformed", field, "not connecting in this turn");
}
