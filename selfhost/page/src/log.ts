import { byId, h, type Item, icon, type Kept, reconcile } from "./dom.ts";
import { dayOf, formatDay, formatFull, formatWait, plural } from "./format.ts";
import { appendText, notice, row } from "./line.ts";
import type { Pending, Room } from "./room.ts";
import type { Line } from "./timeline.ts";

/** Messages of one person within this time share a head, in ms. */
const together = 300_000;
/** How near to the end counts as being there, in pixels. */
const near = 60;

/** What the log asks of the page. */
export interface LogActions {
  edit(room: Room, line: Line, text: string): void;
  remove(room: Room, line: Line): void;
}

/** The conversation: lines, pending messages, and the scrolling through them. */
export class Log {
  readonly #scroll = byId("scroll");
  readonly #list = byId("log");
  readonly #older = byId("older");
  readonly #latest = byId<HTMLButtonElement>("latest");
  readonly #me: string;
  readonly #actions: LogActions;
  #kept: Kept = new Map();
  #room: Room | undefined;
  #atEnd = true;
  #end = 0; // how far it was scrolled to be at the end
  #below = 0; // messages that came while the user looked further up
  #editing = 0; // offset of the message that is edited; 0: none

  constructor(me: string, actions: LogActions) {
    this.#me = me;
    this.#actions = actions;
    this.#scroll.tabIndex = 0; // what scrolls has to be reachable with the keyboard
    this.#scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#latest.append(icon("down"), h("span"));
    this.#latest.addEventListener("click", () => {
      this.toEnd();
      byId("text").focus();
    });
    new ResizeObserver(() => {
      if (this.#atEnd) this.toEnd();
    }).observe(this.#scroll);
  }

  /** Shows another room, at its end. */
  show(room: Room): void {
    this.#room = room;
    this.#kept = new Map();
    this.#list.replaceChildren();
    this.#editing = 0;
    this.#below = 0;
    this.#atEnd = true;
    this.render();
  }

  toEnd(): void {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#end = this.#scroll.scrollTop;
    this.#atEnd = true;
    this.#below = 0;
    this.#showLatest();
  }

  /** A message came that is not the user's own. */
  arrived(): void {
    if (this.#atEnd) return;
    this.#below++;
    this.#showLatest();
  }

  /** Edits the user's newest message, if there is one. */
  editLast(): boolean {
    const line = this.#room?.timeline.lines.findLast(
      (l) => l.from === this.#me && l.kind === "message" && !l.deleted,
    );
    if (line) this.#edit(line.offset);
    return line !== undefined;
  }

  /** Draws what has changed, and keeps what the user looks at where it is. */
  render(): void {
    const room = this.#room;
    if (!room) return;
    this.#look();
    const anchor = this.#atEnd ? undefined : this.#anchor();
    reconcile(this.#list, this.#kept, this.#items(room));
    this.#renderOlder(room);
    if (this.#atEnd) this.toEnd();
    const element = this.#kept.get(anchor?.key ?? "")?.element;
    if (anchor && element) {
      this.#scroll.scrollTop += element.getBoundingClientRect().bottom - anchor.bottom;
    }
    this.#fill();
  }

  #items(room: Room): Item[] {
    const items: Item[] = [];
    let before: Line | undefined;
    let divided = room.newSince === 0;
    for (const line of room.timeline.lines) {
      const day = dayOf(line.time);
      if (!before || dayOf(before.time) !== day) {
        items.push({
          key: `day${day}`,
          version: formatDay(line.time),
          make: () => h("li", { class: "day" }, h("span", { text: formatDay(line.time) })),
        });
        before = undefined;
      }
      if (!divided && line.offset > room.newSince) {
        divided = true;
        items.push({
          key: "new",
          version: "",
          make: () => h("li", { class: "day new" }, h("span", { text: "New messages" })),
        });
        before = undefined;
      }
      const head = !before || !follows(before, line);
      const editing = line.offset === this.#editing;
      const version = `${head} ${line.edited} ${line.deleted} ${room.moderates} ${editing}`;
      items.push({
        key: `o${line.offset}`,
        version,
        make: () => (line.kind === "message" ? this.#message(room, line, head) : notice(line)),
      });
      before = line;
    }
    for (const p of room.pending) {
      const head = before?.kind !== "message" || before.from !== this.#me;
      const wait = room.held && !p.failed ? formatWait(room.held.until - Date.now()) : "";
      const version = `${head} ${p.failed?.code} ${room.client.state.name} ${wait}`;
      items.push({ key: `p${p.id}`, version, make: () => this.#pending(room, p, head, wait) });
      before = { ...blank, from: this.#me, time: p.time };
    }
    return items;
  }

  #message(room: Room, line: Line, head: boolean): HTMLElement {
    const mine = line.from === this.#me;
    const element = row(line.from, line.time, head, mine);
    element.dataset.offset = String(line.offset);
    const body = element.querySelector(".body") as HTMLElement;
    if (line.deleted) {
      body.append(h("p", { class: "gone", text: "This message was deleted." }));
      return element;
    }
    if (line.offset === this.#editing) {
      body.append(this.#editor(room, line));
      return element;
    }
    const text = h("p", { class: "text" });
    appendText(text, line.text);
    if (line.edited) {
      const attrs = { title: `Edited ${formatFull(line.edited)}` };
      text.append(" ", h("span", { class: "edited", text: "(edited)", attrs }));
    }
    body.append(text);
    if (mine || room.moderates) element.append(this.#tools(room, line, mine));
    return element;
  }

  #tools(room: Room, line: Line, mine: boolean): HTMLElement {
    const short = line.text.slice(0, 40);
    const tools = h("div", { class: "tools" });
    if (mine) {
      const attrs = { type: "button", "aria-label": `Edit: ${short}`, title: "Edit" };
      tools.append(
        h("button", { attrs, on: { click: () => this.#edit(line.offset) } }, icon("edit")),
      );
    }
    const attrs = { type: "button", "aria-label": `Delete: ${short}`, title: "Delete" };
    const click = (): void => this.#actions.remove(room, line);
    tools.append(h("button", { attrs, on: { click } }, icon("trash")));
    return tools;
  }

  #editor(room: Room, line: Line): HTMLElement {
    const area = h("textarea", {
      attrs: { rows: "2", maxlength: "4000", "aria-label": "Edit the message" },
    });
    area.value = line.text;
    const save = (): void => {
      const text = area.value.trim();
      if (text && text !== line.text) this.#actions.edit(room, line, text);
      this.#edit(0);
    };
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#edit(0);
      else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        save();
      }
    });
    queueMicrotask(() => {
      area.focus();
      area.setSelectionRange(area.value.length, area.value.length);
    });
    return h(
      "div",
      { class: "editor" },
      area,
      h(
        "div",
        { class: "editor-actions" },
        h("span", { text: "Escape to cancel, Enter to save" }),
        h("button", {
          text: "Cancel",
          attrs: { type: "button" },
          on: { click: () => this.#edit(0) },
        }),
        h("button", {
          text: "Save",
          class: "primary",
          attrs: { type: "button" },
          on: { click: save },
        }),
      ),
    );
  }

  #pending(room: Room, p: Pending, head: boolean, wait: string): HTMLElement {
    const element = row(this.#me, p.time, head, true);
    element.classList.add(p.failed ? "failed" : "pending");
    const body = element.querySelector(".body") as HTMLElement;
    const text = h("p", { class: "text" });
    appendText(text, p.text);
    body.append(text);
    const state = h("p", { class: "outcome" });
    if (!p.failed) {
      const offline = room.client.state.name !== "open";
      state.textContent = offline
        ? "Waiting for a connection"
        : wait
          ? `Goes out in ${wait}`
          : "Sending…";
      body.append(state);
      return element;
    }
    state.textContent = failure(p);
    const again = h("button", {
      text: "Send again",
      attrs: { type: "button" },
      on: { click: () => room.again(p) },
    });
    const forget = h("button", {
      text: "Remove",
      attrs: { type: "button" },
      on: { click: () => room.forget(p) },
    });
    state.append(" ", again, " ", forget);
    body.append(state);
    return element;
  }

  #edit(offset: number): void {
    const was = this.#editing;
    this.#editing = offset;
    this.render();
    if (offset)
      this.#list.querySelector(`[data-offset="${offset}"]`)?.scrollIntoView({ block: "nearest" });
    else if (was) byId("text").focus();
  }

  #renderOlder(room: Room): void {
    const { older } = room;
    const empty = room.timeline.lines.length === 0 && room.pending.length === 0;
    this.#older.className = `older ${older}`;
    if (older === "none") {
      const text = empty
        ? "Nothing here yet. Say hello!"
        : `This is the beginning of #${room.name}.`;
      this.#older.replaceChildren(h("p", { text }));
    } else if (older === "failed") {
      const on = { click: () => void room.loadOlder() };
      this.#older.replaceChildren(
        h("button", {
          text: "Older messages could not be loaded. Try again",
          attrs: { type: "button" },
          on,
        }),
      );
    } else if (older === "loading" || older === "unknown") {
      this.#older.replaceChildren(h("p", { text: "Loading…" }));
    } else this.#older.replaceChildren();
  }

  /** Finds out whether the user is at the end; the event that says so may come a frame late. */
  #look(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    // Near the end, or pushed away from it by the window and not by the user.
    const pushed = this.#atEnd && scrollTop >= this.#end - 1;
    this.#atEnd = pushed || scrollHeight - clientHeight - scrollTop < near;
  }

  #scrolled(): void {
    this.#look();
    if (this.#atEnd) this.#below = 0;
    this.#showLatest();
    this.#fill();
  }

  /** Loads older lines when the user is near the first one, or the page is not full. */
  #fill(): void {
    const near = this.#scroll.scrollTop < this.#scroll.clientHeight;
    if (near && this.#room?.older === "some") void this.#room.loadOlder();
  }

  #showLatest(): void {
    this.#latest.hidden = this.#atEnd;
    const label = this.#below
      ? plural(this.#below, "new message", "new messages")
      : "To the newest";
    (this.#latest.lastElementChild as HTMLElement).textContent = label;
  }

  /**
   * The first line in view, whose end stays where it is: its head may go when others come
   * before it.
   */
  #anchor(): { key: string; bottom: number } | undefined {
    const top = this.#scroll.getBoundingClientRect().top;
    for (const element of this.#list.children) {
      const key = (element as HTMLElement).dataset.key ?? "";
      const { bottom } = element.getBoundingClientRect();
      if (bottom > top && key.startsWith("o")) return { key, bottom };
    }
    return undefined;
  }
}

const blank: Line = {
  offset: 0,
  from: "",
  time: 0,
  kind: "message",
  text: "",
  edited: 0,
  deleted: false,
};

function follows(before: Line, line: Line): boolean {
  const both = before.kind === "message" && line.kind === "message";
  return both && before.from === line.from && line.time - before.time < together;
}

function failure(p: Pending): string {
  if (p.failed?.outcome === "unknown") return "It is not known whether this was sent.";
  switch (p.failed?.code) {
    case "queue_full":
      return "Not sent: too many messages are waiting.";
    case "too_large":
      return "Not sent: it is too long.";
    case "forbidden":
      return "Not sent: you may not write here.";
    default:
      return "Not sent.";
  }
}
