// What the Go front says of a request.

/** What the front decided; package verdict has the same type. */
export interface Verdict {
  to: "refuse" | "token" | "socket" | "wait" | "request" | "presence" | "notify";
  kind?: string;
  room?: string;
  path?: string;
  query?: string;
  user?: string;
  claims?: string;
  protocol?: string;
  address?: string;
  key?: string;
  expires?: number;
  code?: number;
  detail?: string;
  upgrade?: boolean;
  token?: string;
}

/** What the front has done, for tests. */
export interface FrontStats {
  instances: number;
  died: number;
}
