import { byId, icon } from "./dom.ts";
import { formatWait } from "./format.ts";
import type { Room } from "./room.ts";

/** The field in which messages are written. */
export class Composer {
  readonly #text = byId<HTMLTextAreaElement>("text");
  readonly #send = byId<HTMLButtonElement>("send");
  readonly #hint = byId("hint");
  readonly #drafts = new Map<string, string>();
  #room: Room | undefined;

  /** `editLast` begins to edit the newest message of one's own, `sent` follows a message. */
  constructor(editLast: () => boolean, sent: () => void) {
    this.#send.append(icon("send"));
    byId<HTMLFormElement>("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (!text || !this.#room) return;
      this.#room.say(text);
      this.#text.value = "";
      this.#changed();
      this.#text.focus();
      sent();
    });
    this.#text.addEventListener("input", () => {
      this.#changed();
      if (this.#text.value.trim()) this.#room?.types();
      else this.#room?.stopTyping();
    });
    this.#text.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        byId<HTMLFormElement>("composer").requestSubmit();
      } else if (event.key === "ArrowUp" && this.#text.value === "" && editLast()) {
        event.preventDefault();
      }
    });
  }

  /** Writes to another room; what was begun in the last one is kept. */
  show(room: Room): void {
    if (this.#room) {
      this.#drafts.set(this.#room.name, this.#text.value);
      this.#room.stopTyping();
    }
    this.#room = room;
    this.#text.value = this.#drafts.get(room.name) ?? "";
    this.#text.placeholder = `Message #${room.name}`;
    this.#changed();
    this.render();
  }

  /** Draws the hint below; called on every change and every second. */
  render(): void {
    const room = this.#room;
    if (!room) return;
    const left = (room.held?.until ?? 0) - Date.now();
    let hint = "";
    if (room.held && left > 0 && room.pending.length > 0) {
      hint =
        room.held.error.code === "rate_limited"
          ? `Not so fast: your message goes out in ${formatWait(left)}.`
          : `The room is busy: your message goes out in ${formatWait(left)}.`;
    } else if (room.slow > 0) {
      const wait = formatWait(room.slow * 1000);
      hint = room.moderates
        ? `Slow mode: one message every ${wait}; not for you.`
        : `Slow mode: one message every ${wait}.`;
    }
    if (this.#hint.textContent !== hint) this.#hint.textContent = hint;
  }

  #changed(): void {
    this.#send.disabled = this.#text.value.trim() === "";
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, 180)}px`;
  }
}
