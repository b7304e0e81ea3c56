import type { Member } from "../../../rooms/client/ts/src/index.ts";
import { byId, h, icon, type Kept, reconcile } from "./dom.ts";
import { formatNumber, plural } from "./format.ts";
import { avatar } from "./line.ts";
import type { Room } from "./room.ts";

/** Who is in the room: everybody, or in a large room their number and a page of names. */
export class People {
  readonly #title = byId("people-title");
  readonly #list = byId("people-list");
  readonly #more = byId<HTMLButtonElement>("people-more");
  readonly #count = byId("people-open");
  readonly #me: string;
  #kept: Kept = new Map();
  #room: Room | undefined;
  #paged: Member[] = []; // in the counts form
  #pagedMore = true;

  constructor(me: string) {
    this.#me = me;
    this.#count.append(icon("people"), h("span"));
    this.#more.addEventListener("click", () => void this.#page());
  }

  show(room: Room): void {
    this.#room = room;
    this.#kept = new Map();
    this.#list.replaceChildren();
    this.#paged = [];
    this.#pagedMore = true;
    this.render();
  }

  render(): void {
    const presence = this.#room?.client.presence;
    if (!presence) return;
    const { users, connections } = presence.counts;
    const people = plural(users, "person", "people");
    const detail =
      connections > users ? ` on ${plural(connections, "connection", "connections")}` : "";
    this.#title.textContent = `Here now · ${formatNumber(users)}`;
    this.#title.title = people + detail;
    (this.#count.lastElementChild as HTMLElement).textContent = formatNumber(users);
    this.#count.setAttribute("aria-label", `${people} here${detail}. Show them`);
    if (presence.members) this.#paged = [];
    const members = presence.members ? [...presence.members.values()] : this.#paged;
    this.#more.hidden = presence.members !== undefined || !this.#pagedMore;
    this.#more.textContent = this.#paged.length ? "Show more" : `Show who the ${people} are`;
    const sorted = presence.members
      ? members.sort(
          (a, b) =>
            Number(b.user === this.#me) - Number(a.user === this.#me) ||
            a.user.localeCompare(b.user),
        )
      : members;
    reconcile(
      this.#list,
      this.#kept,
      sorted.map((m) => ({
        key: m.user,
        version: String(m.connections),
        make: () => this.#member(m),
      })),
    );
  }

  #member(m: Member): HTMLElement {
    const name = m.user || "Anonymous";
    const you = m.user === this.#me ? h("span", { class: "you", text: "you" }) : undefined;
    const title = `${m.connections} connections`;
    const times =
      m.connections > 1
        ? h(
            "span",
            { class: "times", attrs: { title } },
            h("span", {
              text: `×${formatNumber(m.connections)}`,
              attrs: { "aria-hidden": "true" },
            }),
            h("span", { class: "hidden", text: `, ${title}` }),
          )
        : undefined;
    return h("li", {}, avatar(name), h("span", { class: "who", text: name }), you, times);
  }

  async #page(): Promise<void> {
    const room = this.#room;
    if (!room) return;
    const last = this.#paged.at(-1);
    try {
      const page = await room.client.members(last ? { after: last.user } : {});
      if (room !== this.#room) return;
      this.#paged.push(...page.members);
      this.#pagedMore = page.more;
    } catch {
      // The button stays for another try.
    }
    this.render();
  }
}
