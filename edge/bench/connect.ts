// A connect through the whole worker, beside one through a worker that does nothing.

import { setTimeout as pause } from "node:timers/promises";
import type { Client, Host } from "../test/harness.ts";
import { compare, print } from "./figures.ts";
import { hs256 } from "./tokens.ts";

/** How long each connect waits until the last one has come to rest, in ms: presence hears of it 100 ms late. */
const settle = 150;
/** Connections are spread over so many rooms, so that none is large. */
const rooms = 16;
const rounds = 100;
/** Connects that are not counted, each right behind the other. */
const warmUp = 200;

/**
 * Connects in turn, a new user each time: through the worker, and through a bare one before empty
 * objects. Every client says hello and waits for the answer before the next one comes, and stays.
 *
 * `lean` and `bare` have Durable Objects and nothing else; `app` and `limited` have the rate limiter and the page's
 * files beside them, which wrangler simulates by an object with a disk and by a worker before each.
 */
export async function connect(lean: Host, bare: Host, app: Host, limited: Host): Promise<void> {
  const dial = async (connects: () => Promise<Client>, round: number) => {
    const began = performance.now();
    const c = await connects();
    const ms = performance.now() - began;
    c.send('{"type":"hello"}');
    while (!String(await c.next()).includes("welcome"));
    await pause(round < warmUp ? 0 : settle);
    return ms;
  };
  const ours = (host: Host) => (round: number) => {
    const offers = ["oriel.v1.json", `bearer.${hs256(`user-${round}`)}`];
    return dial(() => host.dial(host.url(`chat/connect-${round % rooms}`), offers), round);
  };
  const empty = (host: Host) => (round: number) =>
    dial(() => host.dial(host.at(`/bare/connect-${round % rooms}`), ["oriel.v1.json"]), round);
  const ms = await compare({ lean: ours(lean), bare: empty(bare) }, rounds, warmUp);
  print("edge_connect_p50", ms.lean, "ms");
  print("edge_connect_bare_p50", ms.bare, "ms");
  print("edge_connect_ratio", ms.lean / ms.bare, "ratio");
  const all = await compare({ app: ours(app), limited: empty(limited) }, rounds, warmUp);
  print("edge_connect_all_bindings_p50", all.app, "ms");
  print("edge_connect_all_bindings_bare_p50", all.limited, "ms");
  print("edge_connect_all_bindings_ratio", all.app / all.limited, "ratio");
}
