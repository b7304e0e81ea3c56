// What an object knows of the others of its service. They call each other by RPC or fetch; nothing
// outside the service can.

import type { Bill } from "./bill.ts";
import type { NotifiedEvent, UserState } from "./event.ts";
import type { Device } from "./newest.ts";
import type { Notice, Present } from "./notice.ts";
import type { Visit } from "./visit.ts";

/** A room's object, as others call it. */
export interface RoomStub {
  fetch(r: Request): Promise<Response>;
  /** Which of the users are connected; it never starts the room. */
  present(users: string[]): Promise<Present>;
  /** Says whether users are online whom the room watches; returns those whom it does not. */
  watched(users: UserState[]): Promise<string[]>;
  /** The connections of a user; it never starts the room. */
  devices(user: string): Promise<Device[]>;
  /** Says something to connections; returns how many there are. */
  notified(connections: bigint[], n: Notification): Promise<number>;
}

/** What is said to a user. */
export type Notification = Omit<NotifiedEvent, "type" | "connection">;

/** A presence object, as rooms and the front call it. */
export interface PresenceStub {
  /** Takes a room's notices in; false if it could not, and they have to come again. */
  told(kind: string, room: string, notices: Notice[]): Promise<boolean>;
  /** Where a user is, as the rooms themselves say. */
  of(user: string): Promise<UserPresence | undefined>;
  /** A room watches users, and others no more. Returns who of the former is online; undefined if it has to come again. */
  watch(kind: string, room: string, on: string[], off: string[]): Promise<Map<string, boolean> | undefined>;
  /** Says something to a user on all devices; returns how many there were, or undefined after a failure. */
  notify(user: string, n: Notification): Promise<number | undefined>;
}

/** Why the front lets somebody not in. */
export interface Refusal {
  code: number;
  detail: string;
}

export interface Service {
  /** The object of a room; undefined if no module has the kind. */
  room(kind: string, room: string): RoomStub | undefined;
  /** The presence object of a shard; undefined if the service has none. */
  presence(shard: number): PresenceStub | undefined;
  /** Asks the front about a socket whose credential has come as its first message; `head` is its upgrade. */
  verify?: ((head: Request, message: string) => Promise<Visit | Refusal>) | undefined;
  /** Counts what objects cost; on a dev server only. */
  readonly bill?: Bill | undefined;
}

/** Where a user is, as GET /v1/presence/{user} says it; package presence of selfhost has the same. */
export interface UserPresence {
  user: string;
  online: boolean;
  connections: number;
  rooms: { kind: string; room: string; connections: number; since: number }[];
  /** Rooms were left out of the list; the counts are of all. */
  more?: boolean;
}
