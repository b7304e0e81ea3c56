import type { RoomEvent } from "../../../rooms/client/ts/src/index.ts";

/** A line of the conversation. */
export interface Line {
  readonly offset: number;
  readonly from: string;
  readonly time: number;
  readonly kind: "message" | "topic" | "slow";
  text: string;
  /** When it was edited; 0: it was not. */
  edited: number;
  deleted: boolean;
}

interface Change {
  readonly offset: number; // of the event that changed it
  readonly time: number;
  readonly text: string | undefined; // undefined: deleted, which is final
}

/**
 * The part of a room's history that the page has, with edits and deletions applied. Nothing in
 * an event is trusted: what is not as it should be is left out.
 */
export class Timeline {
  /** By rising offset. */
  readonly lines: Line[] = [];
  readonly #byOffset = new Map<number, Line>();
  readonly #changes = new Map<number, Change>();
  /** The oldest event that was seen, of any sort; 0: none. */
  oldest = 0;

  clear(): void {
    this.lines.length = 0;
    this.#byOffset.clear();
    this.#changes.clear();
    this.oldest = 0;
  }

  get(offset: number): Line | undefined {
    return this.#byOffset.get(offset);
  }

  /** Adds a live event. The result is its line, if it became a new one. */
  append(event: RoomEvent): Line | undefined {
    const line = this.#take(event);
    if (line) this.lines.push(line);
    return line;
  }

  /** Adds a page of older events, in rising order. */
  prepend(events: readonly RoomEvent[]): void {
    const lines = events.map((event) => this.#take(event)).filter((line) => line !== undefined);
    this.lines.unshift(...lines);
  }

  #take(event: RoomEvent): Line | undefined {
    const { offset, from, time } = event;
    if (offset === undefined || this.#byOffset.has(offset)) return undefined;
    this.oldest = this.oldest ? Math.min(this.oldest, offset) : offset;
    const data = fields(event.data);
    const text = typeof data.text === "string" ? data.text : undefined;
    const line = { offset, from, time, edited: 0, deleted: false };
    switch (event.event) {
      case "message": {
        const deleted = data.deleted === true;
        if (text === undefined && !deleted) return undefined;
        const edited = typeof data.edited === "number" ? data.edited : 0;
        return this.#add({ ...line, kind: "message", text: text ?? "", edited, deleted });
      }
      case "topic":
        return text === undefined ? undefined : this.#add({ ...line, kind: "topic", text });
      case "slow": {
        const { seconds } = data;
        if (typeof seconds !== "number") return undefined;
        return this.#add({ ...line, kind: "slow", text: String(seconds) });
      }
      case "edit":
      case "delete": {
        if (typeof data.offset !== "number") return undefined;
        // An edit without a text was overtaken by a newer one, or by a deletion.
        if (event.event === "edit" && text === undefined) return undefined;
        this.#change(data.offset, { offset, time, text });
        return undefined;
      }
      default:
        return undefined;
    }
  }

  #add(line: Line): Line {
    this.#byOffset.set(line.offset, line);
    const change = this.#changes.get(line.offset);
    if (change) apply(line, change);
    return line;
  }

  #change(target: number, change: Change): void {
    const known = this.#changes.get(target);
    if (known && (known.text === undefined || known.offset > change.offset)) return;
    this.#changes.set(target, change);
    const line = this.#byOffset.get(target);
    if (line) apply(line, change);
  }
}

function apply(line: Line, change: Change): void {
  if (line.kind !== "message" || line.deleted) return;
  line.deleted = change.text === undefined;
  line.text = change.text ?? "";
  line.edited = line.deleted ? 0 : change.time;
}

/** The members of an object; none if it is something else. */
export function fields(value: unknown): { readonly [name: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as { [name: string]: unknown })
    : {};
}
