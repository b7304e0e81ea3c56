/**
 * Why a turn trapped; the words of package host. `storage` is not the room's fault, and an
 * `event` never reached the room.
 */
export type Cause = "panic" | "fuel" | "memory" | "stack" | "blocked" | "exit" | "garbage" | "storage" | "event";

/** Ends a turn without any effect: the room's memory is thrown away. */
export class Trap extends Error {
  readonly trap: Cause;

  /** The message is for people, at most 4 KiB. */
  constructor(trap: Cause, message: string) {
    super(message.slice(0, 4096));
    this.name = "Trap";
    this.trap = trap;
  }

  /** Another turn may go better: the trap is the room's own fault. */
  get ofRoom(): boolean {
    return this.trap !== "storage";
  }
}

/** A room that trapped while it started: no event can run. */
export class StartError extends Error {
  readonly trap: Trap;

  constructor(room: string, trap: Trap) {
    super(`room ${room} does not start: ${trap.trap}: ${trap.message}`);
    this.name = "StartError";
    this.trap = trap;
  }
}
