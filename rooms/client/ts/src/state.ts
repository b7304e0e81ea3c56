import type { OrielError } from "./errors.ts";
import type { Welcome } from "./message.ts";

/** What a client is doing. */
export type State =
  /** Made, and not opened. */
  | { readonly name: "idle" }
  /**
   * Gets a credential, opens a socket, says hello. `attempt` counts from 1. After `open`: says
   * hello on the socket it has, because something may have been lost behind it.
   */
  | { readonly name: "connecting"; readonly attempt: number }
  /** Welcomed: what is published goes out at once. */
  | { readonly name: "open"; readonly welcome: Welcome }
  /** Connects again at `until`, by the client's clock; `why` the last attempt ended. */
  | { readonly name: "waiting"; readonly until: number; readonly why: OrielError }
  /** Ended, by `close()` or by a refusal that trying again cannot help. */
  | { readonly name: "closed"; readonly why: OrielError };
