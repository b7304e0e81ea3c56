/** How many connections a user has in the room, and since when. */
export interface Standing {
  connections: number;
  /** When the first of the present connections came, milliseconds since 1970. */
  since: number;
}

/** The users of a room's connections. Anonymous clients, whose user is empty, are nobody in particular. */
export class Users {
  readonly #standings = new Map<string, Standing>();
  /** Whether who changed went, and perhaps came again. */
  readonly #changed = new Map<string, boolean>();

  get(user: string): Standing | undefined {
    return this.#standings.get(user);
  }

  names(): Iterable<string> {
    return this.#standings.keys();
  }

  join(user: string, since: number): void {
    if (user === "") return;
    const s = this.#standings.get(user);
    if (s !== undefined) {
      s.connections++;
      return;
    }
    this.#standings.set(user, { connections: 1, since });
    this.#changed.set(user, this.#changed.get(user) ?? false);
  }

  leave(user: string): void {
    const s = this.#standings.get(user);
    if (s === undefined || --s.connections > 0) return;
    this.#standings.delete(user);
    this.#changed.set(user, true);
  }

  /** {@link takeChanged} would give something. */
  get changed(): boolean {
    return this.#changed.size > 0;
  }

  /** The users whose first connection came or whose last one went since the last call, and whether the last one did. */
  takeChanged(): [user: string, went: boolean][] {
    if (this.#changed.size === 0) return [];
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }
}
