// The bill and sleep report of a dev server: what Cloudflare would count, and why rooms are awake.

import { Account, linger } from "./account.ts";

/** Dollars, of Cloudflare's price list for Durable Objects (2026), without what a plan includes. */
const prices = {
  /** One request, of which an incoming message is a twentieth. */
  request: 0.15e-6,
  /** One GB for one second; an object counts as 128 MB. */
  gigabyteSecond: 12.5e-6,
  /** One row written; setting an alarm is one. */
  row: 1e-6,
};
const messagesPerRequest = 20;
const gigabytes = 0.128;
/** Bounds the accounts of a dev server; the oldest goes first. */
const maxAccounts = 10_000;

const texts = {
  event: "an event is under way",
  request: "a request waits for its answer",
  alarm: "an alarm is ringing",
  credential: "a client has not said who it is",
  hello: "a client has not said hello",
  ticks: "the room ticks",
  telling: "others are being told",
};

/** What one object did and would cost. */
export interface Line {
  object: string;
  state: "awake" | "hibernated";
  why: string;
  lives: number;
  /** With alarms, and with calls of other objects. */
  requests: number;
  /** Of the requests. */
  alarms: number;
  messages: number;
  rowsWritten: number;
  /** In memory, with the 10 s before each hibernation. */
  awakeMs: number;
  /** At work, or kept awake by what `why` can say. */
  activeMs: number;
  dollars: number;
}

export interface Report {
  objects: Line[];
  total: Omit<Line, "object" | "state" | "why">;
}

/** The accounts of all objects of a dev server. */
export class Bill {
  readonly #accounts = new Map<string, Account>();

  account(object: string): Account {
    let a = this.#accounts.get(object);
    if (a === undefined) {
      const oldest = this.#accounts.size >= maxAccounts ? this.#accounts.keys().next().value : undefined;
      if (oldest !== undefined) this.#accounts.delete(oldest);
      a = new Account();
      this.#accounts.set(object, a);
    }
    return a;
  }

  report(now = Date.now()): Report {
    const objects = [...this.#accounts].map(([object, a]) => line(object, a, now));
    objects.sort((a, b) => b.dollars - a.dollars || (a.object < b.object ? -1 : 1));
    const total = {
      lives: 0,
      requests: 0,
      alarms: 0,
      messages: 0,
      rowsWritten: 0,
      awakeMs: 0,
      activeMs: 0,
      dollars: 0,
    };
    for (const o of objects) for (const k of Object.keys(total) as (keyof typeof total)[]) total[k] += o[k];
    return { objects, total };
  }
}

function line(object: string, a: Account, now: number): Line {
  const requests = a.requests + a.alarms;
  const awakeMs = a.awake(now);
  return {
    object,
    state: a.state(now),
    why: why(a, now),
    lives: a.lives,
    requests,
    alarms: a.alarms,
    messages: a.messages,
    rowsWritten: a.rows,
    awakeMs,
    activeMs: a.active(now),
    dollars:
      (requests + a.messages / messagesPerRequest) * prices.request +
      (awakeMs / 1000) * gigabytes * prices.gigabyteSecond +
      a.rows * prices.row,
  };
}

function why(a: Account, now: number): string {
  const held = a.reasons().map(([reason, n]) => (n > 1 ? `${texts[reason]} (${n})` : texts[reason]));
  if (held.length > 0) return held.join(", ");
  if (a.state(now) === "hibernated") return "";
  return `idle, hibernates in ${((linger - a.idle(now)) / 1000).toFixed(1)} s`;
}

/** The report for people. */
export function tableOf({ objects, total }: Report): string {
  const head = [
    "object",
    "state",
    "lives",
    "requests",
    "alarms",
    "messages",
    "rows",
    "awake s",
    "active s",
    "$",
    "why",
  ];
  const row = (name: string, state: string, o: Report["total"], reason: string) => [
    name,
    state,
    String(o.lives),
    String(o.requests),
    String(o.alarms),
    String(o.messages),
    String(o.rowsWritten),
    (o.awakeMs / 1000).toFixed(1),
    (o.activeMs / 1000).toFixed(1),
    o.dollars.toFixed(7),
    reason,
  ];
  const rows = [head, ...objects.map((o) => row(o.object, o.state, o, o.why)), row("total", "", total, "")];
  const widths = head.map((_, i) => Math.max(...rows.map((r) => (r[i] ?? "").length)));
  const lines = rows.map((r) =>
    r
      .map((cell, i) => pad(cell, widths[i] ?? 0, i))
      .join("  ")
      .trimEnd(),
  );
  lines.push(
    "",
    "$0.15 for a million requests (20 messages count as one), $12.50 for a million GB-s of 128 MB while awake,",
    "$1 for a million rows written; without what a plan includes. Awake counts the 10 s before each hibernation.",
    "",
  );
  return lines.join("\n");
}

/** Numbers stand to the right. */
function pad(cell: string, width: number, column: number): string {
  return column >= 2 && column <= 9 ? cell.padStart(width) : cell.padEnd(width);
}
