import { byId, icon } from "./dom.ts";

/** On narrow screens the rooms and the people come in from the sides, one at a time. */
export class Drawers {
  readonly #shade = byId("shade");
  readonly #sides = [
    { side: byId("rooms"), opener: byId("rooms-open"), closer: byId("rooms-close") },
    { side: byId("people"), opener: byId("people-open"), closer: byId("people-close") },
  ];

  constructor() {
    byId("rooms-open").append(icon("menu"));
    for (const { side, opener, closer } of this.#sides) {
      opener.addEventListener("click", () => this.#toggle(side));
      closer.addEventListener("click", () => {
        this.close();
        opener.focus();
      });
    }
    this.#shade.addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  /** There is something unread behind the button. */
  badge(on: boolean): void {
    byId("rooms-open").classList.toggle("badge", on);
  }

  openRooms(): void {
    const { side } = this.#sides[0] as { side: HTMLElement };
    if (!side.classList.contains("open")) this.#toggle(side);
  }

  close(): void {
    this.#toggle(undefined);
  }

  #toggle(which: HTMLElement | undefined): void {
    for (const { side, opener, closer } of this.#sides) {
      const open = side === which && !side.classList.contains("open");
      side.classList.toggle("open", open);
      opener.setAttribute("aria-expanded", String(open));
      if (open) closer.focus();
    }
    this.#shade.hidden = !this.#sides.some(({ side }) => side.classList.contains("open"));
  }
}
