// Keeps one instance of the Go front in each isolate and asks it about requests. The instance is
// used for all requests: it computes and never waits, so a verdict is there when the call returns.

import { codes } from "../host/abi.gen.ts";
import type { FrontStats, Verdict } from "./verdict.ts";

/** The header of the front's answers. */
const verdictHeader = "oriel-verdict";
/** The header that brings a first message to the front; no client's request keeps it. */
const messageHeader = "oriel-first-message";

/** The variables and secrets that the front reads; it gets no others. */
const settings = [
  "ORIEL_SECRET",
  "ORIEL_ORIGINS",
  "ORIEL_AUDIENCE",
  "ORIEL_ISSUER",
  "ORIEL_COOKIE",
  "ORIEL_FIRST_MESSAGE",
  "ORIEL_DEV",
] as const;

export type Settings = Partial<Record<(typeof settings)[number], string>>;

interface Instance {
  go: Go;
  binding: { handleRequest?: (r: Request) => Promise<Response> };
}

export class Front {
  readonly stats: FrontStats = { instances: 0, died: 0 };
  readonly #module: WebAssembly.Module;
  readonly #kinds: string;
  #instance: Instance | undefined;

  /** `kinds` is a JSON list of the kinds' options. */
  constructor(module: WebAssembly.Module, kinds: string) {
    this.#module = module;
    this.#kinds = kinds;
  }

  /**
   * Asks about a request, or again about an upgrade whose credential was to come as its first message. An
   * instance that died is replaced at the next request.
   */
  async judge(request: Request, env: Settings, message?: string): Promise<Verdict> {
    // Without its body, which the front never reads and must not hold.
    const bare = new Request(request.url, { method: request.method, headers: request.headers });
    bare.headers.delete(messageHeader);
    if (message !== undefined) bare.headers.set(messageHeader, encodeURIComponent(message));
    try {
      const instance = this.#alive(env);
      const answer = await instance.binding.handleRequest?.(bare);
      const value = answer?.headers.get(verdictHeader);
      if (value) return JSON.parse(decodeURIComponent(value)) as Verdict;
    } catch (fault) {
      console.error(JSON.stringify({ msg: "the front failed", error: String(fault) }));
      this.#instance = undefined;
      this.stats.died++;
    }
    return { to: "refuse", code: codes.internal, upgrade: request.headers.get("upgrade") === "websocket" };
  }

  #alive(env: Settings): Instance {
    if (this.#instance?.go.exited) {
      this.#instance = undefined;
      this.stats.died++;
    }
    this.#instance ??= this.#start(env);
    return this.#instance;
  }

  #start(env: Settings): Instance {
    const go = new Go();
    const binding: Instance["binding"] = {};
    let ready = false;
    const workers = {
      ready: () => {
        ready = true;
      },
    };
    const instance = new WebAssembly.Instance(this.#module, { ...go.importObject, workers });
    const own: Record<string, string> = { ORIEL_KINDS: this.#kinds };
    for (const name of settings) own[name] = env[name] ?? "";
    // Runs until main waits for requests, which it does before it returns here.
    go.run(instance, { env: own, ctx: undefined, connect: undefined, binding }).catch(() => undefined);
    if (!ready) throw new Error("the front did not start");
    this.stats.instances++;
    return { go, binding };
  }
}

// github.com/syumai/workers calls this from Go.
Object.assign(globalThis, {
  tryCatch: (f: () => unknown) => {
    try {
      return { result: f() };
    } catch (error) {
      return { error };
    }
  },
});
