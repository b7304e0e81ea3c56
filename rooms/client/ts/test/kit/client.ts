import { Client, type ClientOptions, type OrielError, type State } from "../../src/index.ts";
import { FakeClock, settle } from "./clock.ts";
import { fakeNet } from "./socket.ts";

/** What a client told, in order, in a form that is easy to compare. */
export interface Told {
  readonly states: string[];
  readonly events: unknown[];
  readonly gaps: unknown[];
  readonly errors: OrielError[];
}

/** A client on a fake clock and fake sockets. Jitter is half its bound. */
export function makeClient(options: Partial<ClientOptions> = {}) {
  const clock = new FakeClock();
  const net = fakeNet();
  const client = new Client({
    url: "http://example.org/",
    kind: "chat",
    room: "lobby",
    clock,
    random: () => 0.5,
    WebSocket: net.WebSocket,
    ...options,
  });
  const told: Told = { states: [], events: [], gaps: [], errors: [] };
  client.on("state", (state: State) => {
    const why = state.name === "waiting" || state.name === "closed" ? ` ${state.why.code}` : "";
    told.states.push(state.name + why);
  });
  client.on("event", (event) => told.events.push(event.offset ?? event.event));
  client.on("gap", (gap) => told.gaps.push(gap));
  client.on("error", (error) => told.errors.push(error));
  return { client, clock, net, told };
}

/** Opens a client and welcomes it. */
export async function openClient(options: Partial<ClientOptions> = {}, welcome = {}) {
  const made = makeClient(options);
  made.client.open();
  await settle();
  const socket = made.net.last();
  socket.welcome(welcome);
  socket.take();
  return { ...made, socket };
}

/** The outcome of a promise, as a value: what it resolved with, or `code/outcome`. */
export function outcome(promise: Promise<unknown>): { value: unknown } {
  const box: { value: unknown } = { value: "pending" };
  promise.then(
    (value) => {
      box.value = value;
    },
    (error: OrielError) => {
      box.value = error.outcome ? `${error.code}/${error.outcome}` : error.code;
    },
  );
  return box;
}
