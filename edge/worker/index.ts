// The worker's entry: one Durable Object class for each module, and the front. The modules, the
// front and the list of kinds are made by edge/build.sh.

import "../build/app/wasm_exec.js";
import frontModule from "../build/app/front.wasm";
import kinds from "../build/app/kinds.json";
import shipped from "../build/app/shipped.wasm";
import { Bill } from "../host/bill.ts";
import { roomClass } from "../host/object.ts";
import { Placement, presenceKind } from "../host/placement.ts";
import { Pool } from "../host/pool.ts";
import { presenceClass, sweepEvery } from "../host/presence.ts";
import type { PresenceStub, RoomStub, Service } from "../host/service.ts";
import { Front, type Settings } from "./front.ts";
import { serve } from "./serve.ts";

interface Env extends Settings {
  SHIPPED: DurableObjectNamespace;
  /** Without it there is no presence across rooms, and rooms tell nobody. */
  PRESENCE?: DurableObjectNamespace;
  ORIEL_PRESENCE_SWEEP?: string;
  CONNECTS?: RateLimit;
  ASKS?: RateLimit;
  ASSETS?: Fetcher;
  ORIEL_JURISDICTIONS?: string;
  ORIEL_LOCATIONS?: string;
}

const shippedKinds = new Set(kinds.map((k) => k.name));

function namespace(env: Env, kind: string): DurableObjectNamespace | undefined {
  return shippedKinds.has(kind) ? env.SHIPPED : undefined;
}

const bill = new Bill();

let placement: Placement | undefined;

/** The placement of this deployment. Throws if its variables cannot be read: data must not go elsewhere. */
function place(env: Env): Placement {
  placement ??= new Placement(env.ORIEL_JURISDICTIONS ?? "", env.ORIEL_LOCATIONS ?? "");
  return placement;
}

function service(env: unknown): Service {
  return {
    bill: ["1", "true"].includes((env as Env).ORIEL_DEV ?? "") ? bill : undefined,
    room: (kind, room) => {
      const objects = namespace(env as Env, kind);
      return objects === undefined ? undefined : place(env as Env).object<RoomStub>(objects, kind, `${kind}/${room}`);
    },
    presence: (shard) => {
      const { PRESENCE } = env as Env;
      if (PRESENCE === undefined) return undefined;
      return place(env as Env).object<PresenceStub>(PRESENCE, presenceKind, String(shard));
    },
  };
}

/** The rooms of the kinds that ship. */
export class Shipped extends roomClass(new Pool(shipped), service) {}

/** Where users are, across rooms. */
export class Presence extends presenceClass(service, (env) => {
  const minutes = Number((env as Env).ORIEL_PRESENCE_SWEEP ?? 0);
  return minutes >= 1 && minutes <= 1440 ? minutes * 60_000 : sweepEvery;
}) {}

const front = new Front(frontModule, JSON.stringify(kinds));

export default {
  fetch: (request: Request, env: Env) =>
    serve(request, {
      ...service(env),
      front,
      settings: env,
      connects: env.CONNECTS,
      asks: env.ASKS,
      assets: env.ASSETS,
    }),
} satisfies ExportedHandler<Env>;
