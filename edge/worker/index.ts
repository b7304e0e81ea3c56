// The worker's entry: one Durable Object class for each module, and the front. The modules, the
// front and the list of kinds are made by edge/build.sh.

import "../build/app/wasm_exec.js";
import frontModule from "../build/app/front.wasm";
import kinds from "../build/app/kinds.json";
import shipped from "../build/app/shipped.wasm";
import { roomClass } from "../host/object.ts";
import type { Find } from "../host/outbox.ts";
import { Pool } from "../host/pool.ts";
import { Front, type Settings } from "./front.ts";
import { serve } from "./serve.ts";

interface Env extends Settings {
  SHIPPED: DurableObjectNamespace;
  ASSETS?: Fetcher;
}

const shippedKinds = new Set(kinds.map((k) => k.name));

function namespace(env: Env, kind: string): DurableObjectNamespace | undefined {
  return shippedKinds.has(kind) ? env.SHIPPED : undefined;
}

function find(env: unknown): Find {
  return (kind, room) => {
    const objects = namespace(env as Env, kind);
    return objects?.get(objects.idFromName(`${kind}/${room}`));
  };
}

/** The rooms of the kinds that ship. */
export class Shipped extends roomClass(new Pool(shipped), find) {}

const front = new Front(frontModule, JSON.stringify(kinds));

export default {
  fetch: (request: Request, env: Env) =>
    serve(request, { front, objects: (kind) => namespace(env, kind), settings: env, assets: env.ASSETS }),
} satisfies ExportedHandler<Env>;
