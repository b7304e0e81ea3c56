/** Where one room's log lines go; they are kept until the turn ends, and marked if it trapped. */
export interface RoomLog {
  line(level: number, text: Uint8Array): void;
  output(text: string): void;
}

const decoder = new TextDecoder();

/** Bounds the lines of one turn. */
const maxLines = 256;

/** Collects the lines of a turn and writes them as JSON, one object a line. */
export class Journal implements RoomLog {
  readonly #room: string;
  #lines: { level: number; text: string }[] = [];

  constructor(room: string) {
    this.#room = room;
  }

  line(level: number, text: Uint8Array): void {
    if (this.#lines.length < maxLines) this.#lines.push({ level, text: decoder.decode(text) });
  }

  output(text: string): void {
    for (const line of text.split("\n"))
      if (line !== "" && this.#lines.length < maxLines) this.#lines.push({ level: 0, text: line });
  }

  /** Writes what was collected. */
  flush(trapped: boolean): void {
    if (this.#lines.length === 0) return;
    const lines = this.#lines;
    this.#lines = [];
    for (const { level, text } of lines) write(level, { room: this.#room, msg: text, ...(trapped && { trapped }) });
  }

  /** Writes a line of the host about the room. */
  host(level: number, msg: string, more: Record<string, string | number> = {}): void {
    write(level, { room: this.#room, msg, ...more });
  }
}

function write(level: number, fields: Record<string, unknown>): void {
  const line = JSON.stringify(fields);
  if (level >= 8) console.error(line);
  else if (level >= 4) console.warn(line);
  else if (level >= 0) console.log(line);
  else console.debug(line);
}
