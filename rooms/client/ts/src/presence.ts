import type { Counts, Member, RoomMessage, Welcome } from "./message.ts";

/**
 * Who is in the room, as the welcome and the presence messages tell it. A large room tells
 * counts only; then `members` is undefined.
 */
export class Presence {
  #members: Map<string, Member> | undefined = new Map();
  #counts: Counts = { users: 0, connections: 0 };

  /** The members by user; undefined in the counts form, for which there is `Client.members()`. */
  get members(): ReadonlyMap<string, Member> | undefined {
    return this.#members;
  }

  get counts(): Counts {
    if (!this.#members) return this.#counts;
    let connections = 0;
    for (const member of this.#members.values()) connections += member.connections;
    return { users: this.#members.size, connections };
  }

  /** Takes what a message says. */
  apply(message: Welcome | (RoomMessage & { type: "presence" })): void {
    if (message.counts) {
      this.#members = undefined;
      this.#counts = message.counts;
      return;
    }
    if (message.members) this.#members = new Map(message.members.map((m) => [m.user, m]));
    if (!("join" in message) || !this.#members) return; // a change of a list that we do not have
    for (const member of message.join) this.#members.set(member.user, member);
    for (const user of message.leave) this.#members.delete(user);
  }
}
