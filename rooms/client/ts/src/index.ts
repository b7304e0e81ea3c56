/**
 * The client of Oriel's session protocol, for browsers and Node.
 *
 * @module
 */
export type { BackoffOptions } from "./backoff.ts";
export { Client } from "./client.ts";
export type { Clock } from "./clock.ts";
export { type Action, codes } from "./codes.gen.ts";
export { actionOf, type ErrorDetails, OrielError, type Outcome } from "./errors.ts";
export type { ClientEvents, Gap } from "./events.ts";
export type {
  Counts,
  GapReason,
  HistoryPage,
  Json,
  Member,
  MembersPage,
  Notification,
  Payload,
  Place,
  RoomEvent,
  Signal,
  Welcome,
} from "./message.ts";
export type {
  ClientOptions,
  CloseOptions,
  CredentialRequest,
  PublishOptions,
  SessionStorage,
  Socket,
  SocketConstructor,
} from "./options.ts";
export type { Held, OutboxOptions } from "./outbox.ts";
export type { Presence } from "./presence.ts";
export type { RequestOptions } from "./requests.ts";
export type { State } from "./state.ts";
