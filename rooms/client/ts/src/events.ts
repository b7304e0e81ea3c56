import type { OrielError } from "./errors.ts";
import type { GapReason, Notification, Place, RoomEvent, Signal } from "./message.ts";
import type { Held } from "./outbox.ts";
import type { Presence } from "./presence.ts";
import type { State } from "./state.ts";

/** Events between two places are missing, or what was seen may not be the truth any more. */
export interface Gap {
  /**
   * `history`: the room does not keep them any more. `incarnation`, `ahead`: the room's history
   * is another one than the client saw.
   */
  readonly reason: GapReason;
  readonly from: Place | undefined;
  readonly to: Place;
}

/** What a client tells; see `Client.on`. */
export interface ClientEvents {
  /** The state changed. */
  state: State;
  /** A durable event, each once and in order, or an ephemeral one. */
  event: RoomEvent;
  signal: Signal;
  /** What another room or a backend says to the user. */
  notify: Notification;
  /** Who is here changed. */
  presence: Presence;
  /** Called before the first event after the gap. */
  gap: Gap;
  /** A publish, and all after it, wait because the room asked for it. */
  held: Held;
  /** An error that belongs to no publish and no request, such as that of a signal. */
  error: OrielError;
}
