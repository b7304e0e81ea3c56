import { byId } from "./dom.ts";
import { formatWait } from "./format.ts";
import type { Room } from "./room.ts";

/** How long an attempt may take before it is worth a word, in ms. */
const patience = 600;

/**
 * The bar that says how the connection is, when it is not simply there. It is for the eyes: it
 * counts seconds. Screen readers hear of a loss and a return once, from the page.
 */
export class Status {
  readonly #bar = byId("status");
  readonly #text = byId("status-text");
  readonly #act = byId<HTMLButtonElement>("status-act");
  readonly #leave: () => void;
  #since = 0; // when the connection was last seen gone
  #action: () => void = () => {};

  /** `leave` lets the user in under another identity. */
  constructor(leave: () => void) {
    this.#leave = leave;
    this.#act.addEventListener("click", () => this.#action());
  }

  /** Draws it; called on every change and every second. */
  render(room: Room): void {
    const { state } = room.client;
    if (state.name === "open") {
      this.#since = 0;
      this.#bar.hidden = true;
      return;
    }
    this.#since ||= Date.now();
    switch (state.name) {
      case "waiting": {
        const left = state.until - Date.now();
        const why = navigator.onLine ? "The connection is lost." : "You are offline.";
        const when = left > 900 ? ` Trying again in ${formatWait(left)}.` : " Connecting again…";
        this.#show("waiting", why + when, left > 1500 ? "Try now" : "", () => room.client.wake());
        break;
      }
      case "closed":
        this.#closed(room, state.why.code);
        break;
      default: {
        const first = state.name === "connecting" && state.attempt === 1;
        if (first && Date.now() - this.#since < patience) return;
        this.#show("waiting", first ? "Connecting…" : "The connection is lost. Connecting again…");
      }
    }
  }

  #closed(room: Room, code: string): void {
    const again = (): void => void room.client.open();
    switch (code) {
      case "taken_over":
        this.#show("closed", "This room goes on in another tab.", "Use it here", again);
        break;
      case "unauthenticated":
      case "token_expired":
        this.#show(
          "closed",
          "The server does not accept your token.",
          "Sign in again",
          this.#leave,
        );
        break;
      case "kicked":
      case "forbidden":
        this.#show("closed", "You may not be in this room.", "Try again", again);
        break;
      default:
        this.#show("closed", `The connection has ended (${code}).`, "Connect again", again);
    }
  }

  #show(sort: string, text: string, label = "", action: () => void = () => {}): void {
    this.#bar.hidden = false;
    this.#bar.dataset.state = sort;
    this.#text.textContent = text;
    this.#act.hidden = label === "";
    this.#act.textContent = label;
    this.#action = action;
  }
}
