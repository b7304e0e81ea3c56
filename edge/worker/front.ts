// Keeps one instance of the Go front in each isolate and asks it about requests. The instance is
// used for all requests: it computes and never waits, so a verdict is there when the call returns.

import { codes } from "../host/abi.gen.ts";
import type { FrontStats, Verdict } from "./verdict.ts";

/** The line of a head that brings a first message to the front; no field of a client's request is called so. */
const messageLine = "oriel-first-message";

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

/** The fields of a request that decisions look at; package verdict reads the same. */
const fields = [
  "accept",
  "authorization",
  "cf-connecting-ip",
  "cookie",
  "host",
  "origin",
  "sec-fetch-site",
  "sec-websocket-protocol",
  "upgrade",
  "x-forwarded-for",
  "x-forwarded-proto",
];

/** The size of the inbox that is kept, in bytes: most questions fit. */
const inboxSize = 16 << 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One memory of the Go front; package bridge is its other side. */
class Instance {
  readonly #go = new Go();
  readonly #memory: WebAssembly.Memory;
  readonly #inbox: (size: number) => number;
  /** The kept inbox, so that most questions are one call; 0: it has to be asked for. */
  #place = 0;
  readonly #answer: (size: number) => bigint;

  /** Throws if the front does not start. */
  constructor(module: WebAssembly.Module, env: Record<string, string>) {
    const instance = new WebAssembly.Instance(module, this.#go.importObject);
    this.#memory = instance.exports.mem as WebAssembly.Memory;
    this.#inbox = instance.exports.oriel_inbox as (size: number) => number;
    this.#answer = instance.exports.oriel_answer as (size: number) => bigint;
    // Runs until main waits for questions, which it does before it returns here.
    this.#go.run(instance, { env, ctx: undefined, binding: {} }).catch(() => undefined);
    if (this.exited) throw new Error("the front did not start");
  }

  get exited(): boolean {
    return this.#go.exited;
  }

  /** Throws if the instance dies of it; undefined if the question is too large for it. */
  ask(question: string): string | undefined {
    // A character is at most three bytes.
    if (question.length * 3 > inboxSize) return this.#askMuch(encoder.encode(question));
    this.#place ||= this.#inbox(inboxSize) >>> 0;
    const inbox = new Uint8Array(this.#memory.buffer, this.#place, inboxSize);
    return this.#read(this.#answer(encoder.encodeInto(question, inbox).written));
  }

  #askMuch(question: Uint8Array): string | undefined {
    const place = this.#inbox(question.length) >>> 0;
    this.#place = 0; // Go reads from the newest inbox: in the old one it would not see the next question
    if (place === 0) return undefined;
    new Uint8Array(this.#memory.buffer, place, question.length).set(question);
    return this.#read(this.#answer(question.length));
  }

  #read(answer: bigint): string {
    const packed = BigInt.asUintN(64, answer);
    if (this.exited) throw new Error("the front ended");
    return decoder.decode(new Uint8Array(this.#memory.buffer, Number(packed >> 32n), Number(packed & 0xffff_ffffn)));
  }
}

/** What the front hears of a request: method and URL, then a line for each field, and the first message. */
function headOf(request: Request, message: string | undefined): string {
  let head = `${request.method} ${request.url}`;
  for (const name of fields) {
    const value = request.headers.get(name);
    if (value !== null) head += `\n${name}: ${value}`;
  }
  if (message !== undefined) head += `\n${messageLine}: ${encodeURIComponent(message)}`;
  return head;
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
  judge(request: Request, env: Settings, message?: string): Verdict {
    const upgrade = request.headers.get("upgrade") === "websocket";
    try {
      this.#instance ??= this.#start(env);
      const verdict = this.#instance.ask(headOf(request, message));
      if (verdict === undefined) return { to: "refuse", code: codes.tooLarge, upgrade };
      if (verdict !== "") return JSON.parse(verdict) as Verdict;
    } catch (fault) {
      console.error(JSON.stringify({ msg: "the front failed", error: String(fault) }));
      if (this.#instance !== undefined) this.stats.died++;
      this.#instance = undefined;
    }
    return { to: "refuse", code: codes.internal, upgrade };
  }

  #start(env: Settings): Instance {
    const own: Record<string, string> = { ORIEL_KINDS: this.#kinds };
    for (const name of settings) own[name] = env[name] ?? "";
    const instance = new Instance(this.#module, own);
    this.stats.instances++;
    return instance;
  }
}
