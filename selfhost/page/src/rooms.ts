import { byId, h, type Kept, reconcile } from "./dom.ts";
import { formatNumber } from "./format.ts";
import type { Room } from "./room.ts";
import { read, write } from "./store.ts";

/** What the protocol allows as a name; see DESIGN's names. */
const namePattern = /^(?!\.\.?$)[A-Za-z0-9._~-]{1,64}$/;

/** Makes a room's name of what somebody wrote; undefined if it cannot be one. */
export function roomName(text: string): string | undefined {
  const name = text.trim().replace(/^#/, "").trim().replace(/\s+/g, "-").toLowerCase();
  return namePattern.test(name) ? name : undefined;
}

/** The rooms that the user had joined. */
export function savedRooms(): string[] {
  try {
    const list: unknown = JSON.parse(read("localStorage", "rooms") ?? "");
    if (Array.isArray(list)) {
      const names = list.filter((n): n is string => typeof n === "string" && namePattern.test(n));
      if (names.length) return [...new Set(names)].slice(0, 50);
    }
  } catch {
    // Nothing was kept.
  }
  return ["lobby", "random"];
}

export function saveRooms(names: readonly string[]): void {
  write("localStorage", "rooms", JSON.stringify(names));
}

/** The list of rooms. */
export class RoomList {
  readonly #list = byId("room-list");
  readonly #kept: Kept = new Map();
  readonly #leave: (room: Room) => void;

  constructor(leave: (room: Room) => void) {
    this.#leave = leave;
  }

  render(rooms: readonly Room[], current: Room | undefined): void {
    reconcile(
      this.#list,
      this.#kept,
      rooms.map((room) => {
        const here = room === current;
        const live = room.client.state.name === "open";
        return {
          key: room.name,
          version: `${here} ${room.unread} ${live} ${rooms.length > 1}`,
          make: () => this.#item(room, here, live, rooms.length > 1),
        };
      }),
    );
  }

  #item(room: Room, here: boolean, live: boolean, leavable: boolean): HTMLElement {
    const attrs: Record<string, string> = { href: `#${room.name}` };
    if (here) attrs["aria-current"] = "page";
    const unread = room.unread
      ? h(
          "span",
          { class: "unread" },
          room.unread > 99 ? "99+" : formatNumber(room.unread),
          h("span", { class: "hidden", text: " unread" }),
        )
      : undefined;
    const link = h(
      "a",
      { class: room.unread ? "has-unread" : "", attrs },
      h("span", { class: "hash", text: "#", attrs: { "aria-hidden": "true" } }),
      h("span", { class: "room-name", text: room.name }),
      live ? undefined : h("span", { class: "away", attrs: { title: "Not connected" } }),
      unread,
    );
    const leave = h("button", {
      class: "leave",
      text: "×",
      attrs: { type: "button", "aria-label": `Leave ${room.name}`, title: "Leave" },
      on: { click: () => this.#leave(room) },
    });
    return h("li", { class: here ? "here" : "" }, link, leavable ? leave : undefined);
  }
}
