// The parts of a deployed worker: the front, a class for each room module, and the presence objects. The
// entry that edge/cmd/classes writes (edge/build/app/index.ts) puts them together.

import { codes } from "../host/abi.gen.ts";
import { Bill } from "../host/bill.ts";
import { roomClass } from "../host/object.ts";
import { Placement, presenceKind } from "../host/placement.ts";
import { Pool } from "../host/pool.ts";
import { presenceClass, sweepEvery } from "../host/presence.ts";
import type { PresenceStub, RoomStub, Service } from "../host/service.ts";
import { visitFrom } from "../host/visit.ts";
import { Front, type Settings } from "./front.ts";
import { type Deployment, serve } from "./serve.ts";

interface Env extends Settings {
  /** Without it there is no presence across rooms, and rooms tell nobody. */
  PRESENCE?: DurableObjectNamespace;
  ORIEL_PRESENCE_SWEEP?: string;
  CONNECTS?: RateLimit;
  ASKS?: RateLimit;
  ASSETS?: Fetcher;
  ORIEL_JURISDICTIONS?: string;
  ORIEL_LOCATIONS?: string;
}

/** `kinds` are the options of all kinds; `routes` names the binding of each kind's class. */
export function deployment(
  frontModule: WebAssembly.Module,
  kinds: readonly object[],
  routes: Readonly<Record<string, string>>,
) {
  const bindings = new Map(Object.entries(routes));
  const bill = new Bill();
  const front = new Front(frontModule, JSON.stringify(kinds));
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
        const objects = (env as Record<string, DurableObjectNamespace | undefined>)[bindings.get(kind) ?? ""];
        return objects === undefined ? undefined : place(env as Env).object<RoomStub>(objects, kind, `${kind}/${room}`);
      },
      verify: async (head, message) => {
        const v = front.judge(head, env as Env, message);
        const visit = v.to === "socket" ? visitFrom(v) : undefined;
        return visit ?? { code: v.code ?? codes.internal, detail: v.detail ?? "" };
      },
      presence: (shard) => {
        const { PRESENCE } = env as Env;
        if (PRESENCE === undefined) return undefined;
        return place(env as Env).object<PresenceStub>(PRESENCE, presenceKind, String(shard));
      },
    };
  }

  let serving: Deployment | undefined;

  /** What an isolate serves by: it has one environment. */
  function deployed(env: Env): Deployment {
    if (serving?.settings !== env) {
      const { CONNECTS: connects, ASKS: asks, ASSETS: assets } = env;
      serving = { ...service(env), front, settings: env, connects, asks, assets };
    }
    return serving;
  }

  return {
    /** The class of one module's rooms. */
    rooms: (module: WebAssembly.Module) => roomClass(new Pool(module), service),
    /** The class of the presence objects. */
    presence: () =>
      presenceClass(service, (env) => {
        const minutes = Number((env as Env).ORIEL_PRESENCE_SWEEP ?? 0);
        return minutes >= 1 && minutes <= 1440 ? minutes * 60_000 : sweepEvery;
      }),
    handler: {
      fetch: (request: Request, env: Env) => serve(request, deployed(env)),
    } satisfies ExportedHandler<Env>,
  };
}
