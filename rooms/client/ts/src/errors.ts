import { type Action, codes } from "./codes.gen.ts";

/** What is known of a publish that failed. */
export type Outcome =
  /** The room said no; it has no effect, now or later. */
  | "refused"
  /** It never took effect and never will: it was not sent, or what was sent was turned away. */
  | "unsent"
  /** It was sent and not answered: it may stand in the room's history, or come to stand there. */
  | "unknown";

/** What {@link OrielError} knows beside its code. */
export interface ErrorDetails {
  /** Number of the close code, if a close brought the error. */
  readonly close?: number | undefined;
  /** Milliseconds after which the server suggests to try again. */
  readonly retry?: number | undefined;
  /** For a publish. */
  readonly outcome?: Outcome | undefined;
  /** What an application threw, for instance its `credential`. */
  readonly cause?: unknown;
  /** Overrules the action of the table. */
  readonly action?: Action | undefined;
}

/**
 * Every error of this package. `code` is a name from the project's table of codes, one of
 * the kind's own, or one of the client's: `closed` (by `close()`), `disconnected`,
 * `queue_full`, `credential` (the application's function failed).
 */
export class OrielError extends Error {
  override readonly name = "OrielError";
  readonly code: string;
  readonly action: Action;
  readonly close: number | undefined;
  readonly retry: number | undefined;
  readonly outcome: Outcome | undefined;

  constructor(code: string, message = "", details: ErrorDetails = {}) {
    super(
      message ? `${code}: ${message}` : code,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.close = details.close;
    this.retry = details.retry;
    this.outcome = details.outcome;
    this.action = details.action ?? actionOfName(code);
  }
}

/** The longest delay that a close reason can ask for: an hour, in milliseconds. */
const maxHint = 3_600_000;

/** Makes an error of a close frame: `name; retry=ms; detail`. */
export function closeError(code: number, reason: string): OrielError {
  const [first = "", ...rest] = reason.split(";").map((part) => part.trim());
  const hint = rest.find((part) => /^retry=\d{1,10}$/.test(part));
  return new OrielError(
    codes[code]?.[0] ?? (/^[a-z0-9_]{1,64}$/.test(first) ? first : `code_${code}`),
    rest.filter((part) => !part.startsWith("retry=")).join("; "),
    {
      close: code,
      action: actionOf(code),
      retry: (hint && Math.min(+hint.slice(6), maxHint)) || undefined,
    },
  );
}

/**
 * What a client does after a close. Numbers that are not in the table say it by their
 * range: 4000-4099 and 4400-4499 retry, 4100-4199 and 4500-4599 re-authenticate, all
 * others from 3000 on stop; below it, retry.
 */
export function actionOf(code: number): Action {
  const row = codes[code];
  if (row) return row[1];
  const range = Math.floor(code / 100);
  if (range === 40 || range === 44 || code < 3000) return "retry";
  return range === 41 || range === 45 ? "reauthenticate" : "stop";
}

function actionOfName(name: string): Action {
  for (const row of Object.values(codes)) if (row[0] === name) return row[1];
  return name === "disconnected" || name === "credential" ? "retry" : "stop";
}
