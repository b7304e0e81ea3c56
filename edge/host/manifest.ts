import { defaults, limits } from "./abi.gen.ts";
import { validHeader } from "./header.ts";
import { validName } from "./name.ts";
import { byteLength, FieldError, stringOf } from "./wire.ts";

/** What a module's manifest says of one kind, with defaults. */
export interface KindOptions {
  name: string;
  protocols: string[];
  anonymous: boolean;
  messageBytes: number;
  messagesPerSecond: number;
  messageBurst: number;
  members: number;
  /** Milliseconds. */
  sleepAfter: number;
  durability: "durable" | "relaxed";
  queueBytes: number;
  overflow: "close" | "drop";
}

export interface Manifest {
  sdk: string;
  /** One instance may run many rooms. */
  shareable: boolean;
  kinds: KindOptions[];
}

/** Decodes and validates a manifest. Unknown fields are refused. */
export function manifestOf(b: Uint8Array): Manifest {
  if (b.length > limits.maxManifest) throw new FieldError("limit", "manifest", "too large");
  let json: unknown;
  try {
    json = JSON.parse(stringOf(b));
  } catch (cause) {
    throw new FieldError("malformed", "manifest", String(cause));
  }
  const m = fields(json, ["sdk", "shareable", "kinds"]);
  const sdk = text(m, "sdk", "");
  if (byteLength(sdk) > limits.maxSDK) throw new FieldError("limit", "manifest.sdk", "too long");
  const list = m.kinds ?? [];
  if (!Array.isArray(list)) throw new FieldError("malformed", "manifest", "kinds is not a list");
  if (list.length === 0 || list.length > limits.maxKinds)
    throw new FieldError("limit", "manifest.kinds", `not 1 to ${limits.maxKinds}`);
  const kinds = list.map(kindOf);
  if (new Set(kinds.map((k) => k.name)).size !== kinds.length)
    throw new FieldError("malformed", "manifest.kinds", "two of one name");
  return { sdk, shareable: flag(m, "shareable"), kinds };
}

type Fields = Record<string, unknown>;

function fields(v: unknown, known: readonly string[]): Fields {
  if (typeof v !== "object" || v === null || Array.isArray(v))
    throw new FieldError("malformed", "manifest", "not an object");
  for (const name of Object.keys(v))
    if (!known.includes(name)) throw new FieldError("malformed", "manifest", `unknown field ${JSON.stringify(name)}`);
  return v as Fields;
}

function text(m: Fields, name: string, otherwise: string): string {
  const v = m[name] ?? otherwise;
  if (typeof v !== "string") throw new FieldError("malformed", "manifest", `${name} is not a string`);
  return v === "" ? otherwise : v;
}

function flag(m: Fields, name: string): boolean {
  const v = m[name] ?? false;
  if (typeof v !== "boolean") throw new FieldError("malformed", "manifest", `${name} is not a boolean`);
  return v;
}

function integer(m: Fields, name: keyof typeof defaults, low: number, high: number): number {
  const otherwise = defaults[name];
  const v = m[name] ?? 0;
  if (typeof v !== "number" || !Number.isInteger(v))
    throw new FieldError("malformed", "manifest", `${name} is not an integer`);
  const n = v === 0 ? Number(otherwise) : v;
  if (n < low || n > high) throw bad(m, name, `not ${low} to ${high}`);
  return n;
}

function bad(m: Fields, name: string, reason: string): FieldError {
  return new FieldError("limit", `manifest.kinds[${JSON.stringify(m.name ?? "")}].${name}`, reason);
}

const kindFields = [
  "name",
  "protocols",
  "anonymous",
  "messageBytes",
  "messagesPerSecond",
  "messageBurst",
  "members",
  "sleepAfter",
  "durability",
  "queueBytes",
  "overflow",
];

function kindOf(v: unknown): KindOptions {
  const m = fields(v, kindFields);
  const name = text(m, "name", "");
  if (!validName(name)) throw bad(m, "name", "not 1 to 128 of A-Z a-z 0-9 . _ ~ -");
  const protocols: unknown = m.protocols ?? [];
  if (!Array.isArray(protocols) || !protocols.every((p) => typeof p === "string"))
    throw new FieldError("malformed", "manifest", "protocols is not a list of strings");
  if (protocols.length > limits.maxProtocols) throw bad(m, "protocols", `more than ${limits.maxProtocols}`);
  for (const p of protocols)
    if (p.length > limits.maxProtocol || !validHeader({ name: p, value: "" }))
      throw bad(m, "protocols", "not 1 to 64 characters of an HTTP token");
  const durability = text(m, "durability", defaults.durability);
  if (durability !== "durable" && durability !== "relaxed")
    throw bad(m, "durability", 'neither "durable" nor "relaxed"');
  const overflow = text(m, "overflow", defaults.overflow);
  if (overflow !== "close" && overflow !== "drop") throw bad(m, "overflow", 'neither "close" nor "drop"');
  return {
    name,
    protocols,
    anonymous: flag(m, "anonymous"),
    messageBytes: integer(m, "messageBytes", 1, limits.maxMessage),
    messagesPerSecond: integer(m, "messagesPerSecond", 1, 100_000),
    messageBurst: integer(m, "messageBurst", 1, 100_000),
    members: integer(m, "members", 1, limits.maxConnections),
    sleepAfter: integer(m, "sleepAfter", 1, 86_400_000),
    durability,
    queueBytes: integer(m, "queueBytes", 4096, 64 << 20),
    overflow,
  };
}
