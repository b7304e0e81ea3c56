// Sockets whose credential is still to come, as their first message. The object holds them; its room
// knows nothing of them, and an object that has only these has no room yet.

import { codes } from "./abi.gen.ts";
import type { Account } from "./account.ts";
import { closeReason } from "./code.ts";
import { end, type Sockets } from "./sockets.ts";

/** How long a client may take to send its credential, in ms. */
export const credentialTimeout = 10_000;
/** The most sockets of one object that wait; beyond it the one that has waited longest goes. */
export const maxWaiting = 16;
/** Longer first messages, in UTF-16 units, are not looked at; the front takes half of it. */
export const maxFirstMessage = 8192;

/** A client that has not said who it is. */
export interface Stranger {
  /** Its upgrade, for the front. */
  readonly head: Request;
  readonly done: () => void;
}

export class Waiting {
  readonly #sockets: Sockets;
  readonly #account: Account | undefined;
  readonly #strangers = new Map<WebSocket, Stranger>();

  constructor(sockets: Sockets, account: Account | undefined) {
    this.#sockets = sockets;
    this.#account = account;
  }

  /**
   * Takes a socket in; false if the object has too many. Its clock keeps the object awake, so it never waits
   * longer than the object remembers.
   */
  accept(ws: WebSocket, head: Request, device: string): boolean {
    const [oldest] = this.#strangers.keys();
    // Who means it sends the credential at once: the longer one waits, the less it is worth.
    if (oldest !== undefined && this.#strangers.size >= maxWaiting) this.#close(oldest, codes.overloaded, 1000);
    if (!this.#sockets.accept(ws, device)) return false;
    const release = this.#account?.hold("credential");
    const timer = setTimeout(
      () => this.#close(ws, codes.unauthenticated, 0, "no credential came in time"),
      credentialTimeout,
    );
    const done = () => {
      clearTimeout(timer);
      release?.();
    };
    this.#strangers.set(ws, { head, done });
    return true;
  }

  /** Gives a waiting socket away, and stops its clock; undefined if it does not wait. */
  take(ws: WebSocket): Stranger | undefined {
    const stranger = this.#strangers.get(ws);
    this.#strangers.delete(ws);
    stranger?.done();
    return stranger;
  }

  #close(ws: WebSocket, code: number, retry = 0, detail = ""): void {
    this.take(ws);
    end(ws, code, closeReason(code, retry, detail));
  }
}
