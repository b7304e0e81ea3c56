import type { RoomEvent } from "../../../rooms/client/ts/src/index.ts";
import { Composer } from "./composer.ts";
import { askDelete, askIdentity, askSettings } from "./dialogs.ts";
import { byId, h, icon } from "./dom.ts";
import { Drawers } from "./drawers.ts";
import { type Identity, leave, restore } from "./identity.ts";
import { avatar } from "./line.ts";
import { Log } from "./log.ts";
import { People } from "./people.ts";
import { type Change, Room } from "./room.ts";
import { RoomList, roomName, savedRooms, saveRooms } from "./rooms.ts";
import { Status } from "./status.ts";
import { watchTheme } from "./theme-button.ts";
import { fields } from "./timeline.ts";

/** The page: the rooms that the user has joined, and the one that is shown. */
class Page {
  readonly #identity: Identity;
  readonly #rooms: Room[] = [];
  readonly #list: RoomList;
  readonly #log: Log;
  readonly #people: People;
  readonly #composer: Composer;
  readonly #status: Status;
  readonly #drawers = new Drawers();
  #current: Room | undefined;
  #drawn = false; // a frame is asked for
  #dirty = new Set<Change>();
  #lost = false; // screen readers were told of a loss

  constructor(identity: Identity) {
    this.#identity = identity;
    this.#list = new RoomList((room) => this.#leave(room));
    this.#log = new Log(identity.user, {
      edit: (room, line, text) => this.#change(room, "edit", { offset: line.offset, text }),
      remove: async (room, line) => {
        if (await askDelete(line)) this.#change(room, "delete", { offset: line.offset });
      },
    });
    this.#people = new People(identity.user);
    this.#composer = new Composer(
      () => this.#log.editLast(),
      () => this.#log.toEnd(),
    );
    this.#status = new Status(() => this.#rename());
    this.#me();
    byId("settings").append(icon("gear"));
    byId("settings").addEventListener("click", () => this.#current && askSettings(this.#current));
    byId("join").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#join();
    });
    addEventListener("hashchange", () => this.#follow());
    addEventListener("focus", () => this.#look());
    addEventListener("blur", () => this.#look());
    document.addEventListener("visibilitychange", () => this.#look());
    document.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("beforeunload", (event) => {
      if (this.#rooms.some((room) => room.pending.some((p) => !p.failed))) event.preventDefault();
    });
    for (const name of savedRooms()) this.#open(name);
    this.#follow();
    setInterval(() => this.#second(), 500);
  }

  #open(name: string): Room {
    const known = this.#rooms.find((room) => room.name === name);
    if (known) return known;
    const room = new Room(name, this.#identity, (r, change, event) =>
      this.#changed(r, change, event),
    );
    this.#rooms.push(room);
    saveRooms(this.#rooms.map((r) => r.name));
    return room;
  }

  /** Shows the room that the address names. */
  #follow(): void {
    const name = roomName(decodeURIComponent(location.hash.slice(1)));
    const room = name ? this.#open(name) : this.#rooms[0];
    if (!room) return;
    if (!name) history.replaceState(null, "", `#${room.name}`);
    this.#drawers.close();
    if (room === this.#current) return;
    this.#current?.look(false);
    this.#current = room;
    this.#lost = false;
    this.#look();
    this.#log.show(room);
    this.#people.show(room);
    this.#composer.show(room);
    this.#status.render(room);
    this.#about();
    this.#typing();
    this.#renderList();
  }

  #join(): void {
    const field = byId<HTMLInputElement>("join-name");
    const name = roomName(field.value);
    const error = byId("join-error");
    error.textContent = "";
    if (field.value.trim() === "") return;
    if (!name) {
      error.textContent = "Letters, digits and . _ ~ - only, at most 64.";
      return;
    }
    field.value = "";
    location.hash = name;
    byId("text").focus();
  }

  #leave(room: Room): void {
    const i = this.#rooms.indexOf(room);
    this.#rooms.splice(i, 1);
    saveRooms(this.#rooms.map((r) => r.name));
    void room.close();
    if (room === this.#current) location.hash = (this.#rooms[i] ?? this.#rooms[i - 1])?.name ?? "";
    this.#renderList();
  }

  #change(room: Room, event: string, data: { offset: number; text?: string }): void {
    room.client.publish(event, data).catch(() => {
      this.#say(event === "edit" ? "The edit was not accepted." : "The deletion was not accepted.");
    });
  }

  /** Something changed in a room; it is drawn with the next frame. */
  #changed(room: Room, change: Change, event?: RoomEvent): void {
    if (change === "unread" || change === "state") this.#soon("unread");
    if (room !== this.#current) return;
    if (event?.event === "message" && event.from !== this.#identity.user) {
      this.#log.arrived();
      const { text } = fields(event.data);
      if (typeof text === "string") this.#say(`${event.from}: ${text}`);
    }
    if (change === "state") this.#announce(room);
    this.#soon(change);
  }

  #soon(change: Change): void {
    this.#dirty.add(change);
    if (this.#drawn) return;
    this.#drawn = true;
    // No frames come while the page is hidden, but its title changes.
    const draw = (): void => this.#draw();
    if (document.hidden) setTimeout(draw, 50);
    else requestAnimationFrame(draw);
  }

  #draw(): void {
    this.#drawn = false;
    const dirty = this.#dirty;
    this.#dirty = new Set();
    const room = this.#current;
    if (!room) return;
    if (dirty.has("lines") || dirty.has("state") || dirty.has("about")) this.#log.render();
    if (dirty.has("state")) this.#status.render(room);
    if (dirty.has("people")) this.#people.render();
    if (dirty.has("typing")) this.#typing();
    if (dirty.has("about")) this.#about();
    if (dirty.has("unread")) this.#renderList();
    this.#composer.render();
  }

  /** What counts seconds. */
  #second(): void {
    const room = this.#current;
    if (!room) return;
    this.#status.render(room);
    this.#composer.render();
    if (room.held && room.pending.length > 0) this.#soon("lines");
  }

  #look(): void {
    this.#current?.look(!document.hidden && document.hasFocus());
    this.#soon("unread");
  }

  #about(): void {
    const room = this.#current;
    if (!room) return;
    byId("title").textContent = `#${room.name}`;
    byId("topic").textContent = room.topic;
    byId("topic").title = room.topic;
    byId("settings").hidden = !room.moderates;
    byId("scroll").setAttribute("aria-label", `Messages in ${room.name}`);
    this.#composer.render();
  }

  #typing(): void {
    const names = [...(this.#current?.typing.keys() ?? [])];
    const some = names.slice(0, 2).join(", ");
    const text =
      names.length === 0
        ? ""
        : names.length === 1
          ? `${some} is typing`
          : names.length === 2
            ? `${names.join(" and ")} are typing`
            : `${some} and ${names.length - 2} more are typing`;
    const line = byId("typing");
    line.replaceChildren();
    if (text) line.append(h("span", { class: "dots" }, h("i"), h("i"), h("i")), text);
  }

  #renderList(): void {
    this.#list.render(this.#rooms, this.#current);
    const unread = this.#rooms.reduce((sum, room) => sum + room.unread, 0);
    const name = this.#current ? `#${this.#current.name} · Oriel` : "Oriel";
    document.title = unread ? `(${unread > 99 ? "99+" : unread}) ${name}` : name;
    this.#drawers.badge(this.#rooms.some((r) => r !== this.#current && r.unread > 0));
  }

  #me(): void {
    const { user } = this.#identity;
    const change = h("button", {
      class: "change",
      text: "Change",
      attrs: { type: "button", "aria-label": "Change your name" },
      on: { click: () => this.#rename() },
    });
    byId("me").replaceChildren(avatar(user), h("span", { class: "who", text: user }), change);
  }

  async #rename(): Promise<void> {
    leave();
    await Promise.all(this.#rooms.map((room) => room.close()));
    location.reload();
  }

  #key(event: KeyboardEvent): void {
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown") && this.#current) {
      event.preventDefault();
      const step = event.key === "ArrowUp" ? this.#rooms.length - 1 : 1;
      const i = this.#rooms.indexOf(this.#current) + step;
      location.hash = this.#rooms[i % this.#rooms.length]?.name ?? "";
    } else if ((event.ctrlKey || event.metaKey) && event.key === "k") {
      event.preventDefault();
      this.#drawers.openRooms();
      byId("join-name").focus();
    }
  }

  #announce(room: Room): void {
    const { name } = room.client.state;
    if (name === "open" && this.#lost) this.#say("Connected again.");
    if (name === "waiting" && !this.#lost) this.#say("The connection is lost.");
    if (name === "open" || name === "waiting") this.#lost = name === "waiting";
  }

  /** Tells screen readers. */
  #say(text: string): void {
    byId("live").textContent = text;
  }
}

watchTheme();
const identity = restore() ?? (await askIdentity());
byId("app").hidden = false;
new Page(identity);
byId("text").focus();
