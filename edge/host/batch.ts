import { limits } from "./abi.gen.ts";
import { decodeEffect, type Effect, encodeEffect } from "./effect.ts";
import { decodeEvent, encodeEvent, type RoomEvent } from "./event.ts";
import { Decoder, Encoder, FieldError } from "./wire.ts";

/** The input of one turn. */
export interface Batch {
  /** Names the room's memory inside the guest: fresh at each start, never 0. */
  handle: bigint;
  /** The turn's clock, milliseconds since 1970. It never goes back within a room. */
  time: number;
  /** The turn's only source of randomness, 32 bytes. */
  seed: Uint8Array;
  /** The store cannot be written at the moment. */
  storeAway: boolean;
  events: RoomEvent[];
}

/** Writes a batch. It checks no limits: events are checked as they arrive. */
export function encodeBatch(e: Encoder, b: Batch): void {
  e.uvarint(b.handle);
  e.uvarint(b.time);
  e.fixed(b.seed);
  e.bool(b.storeAway);
  e.uvarint(b.events.length);
  for (const v of b.events) encodeEvent(e, v);
}

/** Decodes a batch of at most 8 MiB. Hosts need it for recordings and tests only. */
export function batchOf(b: Uint8Array): Batch {
  if (b.length > limits.maxBatch) throw new FieldError("limit", "batch", "too large");
  const d = new Decoder(b);
  const handle = d.uint64("batch.handle");
  if (handle === 0n) d.malformed("batch.handle", "zero");
  const time = d.uvarint("batch.time", limits.maxTime);
  const seed = d.fixed("batch.seed", limits.seedSize);
  const storeAway = d.bool("batch.store");
  const events: RoomEvent[] = [];
  for (let n = d.count("batch.events", limits.maxBatchEvents); n > 0; n--) events.push(decodeEvent(d));
  d.end("batch");
  return { handle, time, seed, storeAway, events };
}

/** The encoding of a batch of effects. */
export function effectsBytes(effects: readonly Effect[]): Uint8Array {
  const e = new Encoder();
  e.uvarint(effects.length);
  for (const v of effects) encodeEffect(e, v);
  return e.bytes();
}

/**
 * Decodes a batch of effects of at most 8 MiB and checks every limit that can be checked
 * without knowing the room. Byte fields share memory with b.
 */
export function effectsOf(b: Uint8Array): Effect[] {
  if (b.length > limits.maxEffects) throw new FieldError("limit", "effects", "too large");
  const d = new Decoder(b);
  const effects: Effect[] = [];
  for (let n = d.count("effects.count", limits.maxEffectCount); n > 0; n--) effects.push(decodeEffect(d));
  d.end("effects");
  return effects;
}
