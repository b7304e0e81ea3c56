import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import type { Json } from "../../src/index.ts";
import type { Sent } from "./socket.ts";

interface Session {
  readonly id: string;
  readonly user: string;
  last: number;
  readonly answers: Map<number, string>;
  socket: WebSocket | undefined;
}

interface Room {
  readonly history: { readonly [name: string]: Json }[];
  readonly sessions: Map<string, Session>;
}

/**
 * A small server that speaks the session protocol over real sockets, in memory: enough of it
 * for the suite that also runs against the real one.
 */
export async function startServer(): Promise<{ url: string; stop: () => Promise<void> }> {
  const rooms = new Map<string, Room>();
  const http = createServer((request, response) => {
    const user = new URL(request.url ?? "", "http://x").searchParams.get("user");
    response.end(JSON.stringify({ token: Buffer.from(user ?? "").toString("base64url") }));
  });
  const server = new WebSocketServer({
    server: http,
    handleProtocols: (protocols) => [...protocols][0] ?? false,
  });
  server.on("connection", (socket, request) => {
    const [, , , kind, name] = (request.url ?? "").split("/");
    const offered = request.headers["sec-websocket-protocol"] ?? "";
    const user = Buffer.from(/bearer\.([\w-]+)/.exec(offered)?.[1] ?? "", "base64url").toString();
    if (kind !== "chat" || !name) return socket.close(4201, "unknown_kind");
    if (!/^[\w-]+$/.test(user)) return socket.close(4100, "unauthenticated");
    const room = rooms.get(name) ?? { history: [], sessions: new Map() };
    rooms.set(name, room);
    serve(room, user, socket);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      for (const client of server.clients) client.terminate();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

function serve(room: Room, user: string, socket: WebSocket): void {
  let session: Session | undefined;
  socket.on("message", (raw) => {
    const m = JSON.parse(String(raw)) as Sent;
    if (m.type === "ping") return socket.send('{"type":"pong"}');
    if (m.type === "hello") session = enter(room, user, socket, m);
    else if (!session) socket.close(4205, "wrong_order");
    else answer(room, session, socket, m);
  });
  socket.on("close", (code) => {
    if (session?.socket !== socket) return;
    session.socket = undefined;
    if (code === 1000) room.sessions.delete(session.id);
    tell(room, { type: "presence", members: members(room) });
  });
}

function enter(room: Room, user: string, socket: WebSocket, m: Sent): Session {
  const known = room.sessions.get(String(m.session));
  const session =
    known?.user === user
      ? known
      : { id: crypto.randomUUID(), user, last: 0, answers: new Map(), socket: undefined };
  const again = session.socket === socket;
  if (!again) session.socket?.close(4207, "taken_over");
  session.socket = socket;
  room.sessions.set(session.id, session);
  const resumed = m.offset !== undefined;
  say(socket, {
    type: "welcome",
    id: (m.id ?? null) as Json,
    connection: "1",
    session: session.id,
    incarnation: "i",
    offset: room.history.length,
    seq: session.last,
    resumed,
    ...(resumed ? {} : { reason: "new" }),
    members: members(room),
    heartbeat: 25_000,
    first: 1,
    retention: { events: 0, age: 0 },
    keep: 86_400_000,
    limits: { message: 65_536, open: 64 },
  });
  if (resumed) for (const e of room.history.slice(m.offset as number)) say(socket, e);
  for (const other of room.sessions.values()) {
    if (other !== session && other.socket && !again) {
      say(other.socket, { type: "presence", members: members(room) });
    }
  }
  return session;
}

function answer(room: Room, session: Session, socket: WebSocket, m: Sent): void {
  const data = m.data as { before?: number; after?: number; limit?: number } & { text?: string };
  const id = m.id as number;
  if (m.type === "signal") {
    const { event } = m as unknown as { event: string };
    const from = session.user;
    tell(room, { type: "signal", event, from, data: m.data as Json }, session);
  } else if (m.type === "request" && m.event === "history") {
    const { before = Number.MAX_SAFE_INTEGER, after, limit = 50 } = data;
    const all = room.history.filter((_, i) =>
      after === undefined ? i + 1 < before : i + 1 > after,
    );
    const events = after === undefined ? all.slice(-limit) : all.slice(0, limit);
    say(socket, { type: "response", id, data: { events, more: all.length > events.length } });
  } else if (m.type === "request") {
    say(socket, { type: "error", id, code: "unknown_event" });
  } else if (m.type === "publish") {
    const seq = m.seq as number;
    const known = session.answers.get(seq);
    if (known) {
      socket.send(known);
      return;
    }
    if (seq !== session.last + 1) {
      const expected = session.last + 1;
      say(socket, { type: "error", seq, code: "out_of_order", retry: 0, expected });
      return;
    }
    session.last = seq;
    const offset = room.history.length + 1;
    const ok = m.event === "message" && data.text !== "";
    const result = ok ? { type: "ack", seq, offset } : { type: "error", seq, code: "invalid" };
    session.answers.set(seq, JSON.stringify(result));
    say(socket, result);
    if (!ok) return;
    const from = session.user;
    const event = { type: "event", event: "message", offset, from, time: Date.now() };
    room.history.push({ ...event, data: m.data as Json });
    tell(room, { ...event, data: m.data as Json });
  }
}

function members(room: Room): Json[] {
  const users = new Map<string, number>();
  for (const s of room.sessions.values()) {
    if (s.socket) users.set(s.user, (users.get(s.user) ?? 0) + 1);
  }
  return [...users].sort().map(([user, connections]) => ({ user, connections }));
}

function tell(room: Room, message: Json, except?: Session): void {
  for (const s of room.sessions.values()) if (s !== except && s.socket) say(s.socket, message);
}

function say(socket: WebSocket, message: Json): void {
  socket.send(JSON.stringify(message));
}
