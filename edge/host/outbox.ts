import type { Service } from "./service.ts";
import type { Tell } from "./store.ts";
import { visitHeader, visitValue } from "./visit.ts";

/** How many tells are under way at once. */
export const outboxBatch = 64;

/**
 * Tells other rooms what a room's turn said. Returns the numbers of what was heard, or can never
 * be: the caller removes their rows. Whatever is left is told again later: at least once.
 */
export async function tellAll(service: Service, kind: string, room: string, tells: readonly Tell[]): Promise<number[]> {
  const heard: number[] = [];
  await Promise.all(
    tells.map(async ({ id, tell }) => {
      const object = service.room(tell.kind, tell.room);
      if (object === undefined || (await tellOne(object, kind, room, id, tell))) heard.push(id);
    }),
  );
  return heard;
}

async function tellOne(
  object: { fetch(r: Request): Promise<Response> },
  fromKind: string,
  fromRoom: string,
  id: number,
  tell: Tell["tell"],
): Promise<boolean> {
  const visit = visitValue({ to: "told", kind: tell.kind, room: tell.room, fromKind, fromRoom, id: String(id) });
  try {
    const r = await object.fetch(
      new Request("https://room/", { method: "POST", headers: { [visitHeader]: visit }, body: tell.data }),
    );
    await r.body?.cancel();
    return r.status === 204;
  } catch {
    return false;
  }
}
