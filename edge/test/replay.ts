// Replays recordings of rooms/conformance on the edge host's own instance and store.

import { DurableObject } from "cloudflare:workers";
import { batchOf, effectsOf, encodeBatch } from "../host/batch.ts";
import { Instance } from "../host/instance.ts";
import { Store } from "../host/store.ts";
import { Trap } from "../host/trap.ts";
import { newTurn, split } from "../host/turn.ts";
import { Encoder } from "../host/wire.ts";
import type { Outcome, Step } from "./recording.ts";

const fromHex = (s: string) => Uint8Array.from(s.match(/../g) ?? [], (h) => Number.parseInt(h, 16));
const toHex = (b: Uint8Array) => Array.from(b, (v) => v.toString(16).padStart(2, "0")).join("");

/** The object class that runs one recording. */
export function replayClass(module: WebAssembly.Module) {
  return class ReplayObject extends DurableObject {
    override async fetch(request: Request): Promise<Response> {
      const steps = (await request.json()) as Step[];
      const store = new Store(this.ctx.storage);
      const state = store.create("replay", "replay", "replay");
      let instance = new Instance(module);
      let handle = 0n;
      const outcomes: Outcome[] = [];
      for (const s of steps) {
        if (s.sleep || instance.dead) {
          if (!instance.dead) instance.turn(forget(handle), 0, undefined, undefined);
          else instance = new Instance(module);
          if (s.sleep) {
            outcomes.push({});
            continue;
          }
        }
        const bytes = fromHex(s.batch ?? "");
        const batch = batchOf(bytes);
        handle = batch.handle;
        try {
          const out = instance.turn(bytes, batch.time, store, undefined);
          const turn = newTurn(batch.time, batch.events);
          split(turn, effectsOf(out));
          store.commit(turn, state);
          outcomes.push({ effects: toHex(out) });
        } catch (fault) {
          if (!(fault instanceof Trap)) throw fault;
          outcomes.push({ trap: fault.trap, message: fault.message });
        }
      }
      return Response.json(outcomes);
    }
  };
}

function forget(handle: bigint): Uint8Array {
  const e = new Encoder();
  encodeBatch(e, { handle, time: 0, seed: new Uint8Array(32), storeAway: false, events: [{ type: "forget" }] });
  return e.bytes();
}
