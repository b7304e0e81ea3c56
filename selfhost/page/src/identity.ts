import { type CredentialRequest, OrielError } from "../../../rooms/client/ts/src/index.ts";
import { read, write } from "./store.ts";

/** Who the page's user is, and how a credential for it is had. */
export interface Identity {
  readonly user: string;
  credential(request: CredentialRequest): Promise<string>;
}

/** The name that was used last on this browser, to suggest it. */
export const lastName = (): string => read("localStorage", "name") ?? "";

/** Why a name or a token was not taken, in words for people. */
export class NotTaken extends Error {
  /** The server gives no tokens away: the user needs one. */
  readonly needsToken: boolean;

  constructor(message: string, needsToken = false) {
    super(message);
    this.needsToken = needsToken;
  }
}

/**
 * The identity of this tab, if it has one. Each tab has its own, so that two windows can be
 * two people.
 */
export function restore(): Identity | undefined {
  const token = read("sessionStorage", "token");
  const user = token ? subject(token) : read("sessionStorage", "name");
  if (!user) return undefined;
  return token ? withToken(user, token) : withName(user);
}

/** Takes a name, if the server is one for development. Rejects with {@link NotTaken}. */
export async function enterName(text: string): Promise<Identity> {
  const user = text.trim();
  if (!user) throw new NotTaken("Please write a name.");
  if (new TextEncoder().encode(user).length > 128) throw new NotTaken("This name is too long.");
  await devToken(user);
  write("sessionStorage", "name", user);
  write("localStorage", "name", user);
  return withName(user);
}

/** Takes a token. Whether it is valid is found out by connecting. */
export function enterToken(text: string): Identity {
  const token = text.trim();
  const user = subject(token);
  if (!user) throw new NotTaken("This is not a token with a user's name in it.");
  write("sessionStorage", "token", token);
  return withToken(user, token);
}

/** Forgets this tab's identity. */
export function leave(): void {
  write("sessionStorage", "token", "");
  write("sessionStorage", "name", "");
}

function withName(user: string): Identity {
  return { user, credential: () => devToken(user) };
}

function withToken(user: string, token: string): Identity {
  return {
    user,
    credential: async ({ refused }) => {
      // The same token again cannot help; the user has to bring another.
      if (refused) throw new OrielError(refused.code, "", { action: "stop" });
      return token;
    },
  };
}

async function devToken(user: string): Promise<string> {
  let answer: Response;
  try {
    answer = await fetch(`/v1/dev/token?user=${encodeURIComponent(user)}`, { cache: "no-store" });
  } catch {
    throw new NotTaken("The server does not answer. Is it running?");
  }
  if (answer.status === 404) {
    throw new NotTaken("This server asks for a token from whoever runs it.", true);
  }
  if (answer.status >= 400 && answer.status < 500) throw new NotTaken("This name is not allowed.");
  if (!answer.ok) throw new NotTaken("The server cannot give a token at the moment.");
  const body = (await answer.json()) as { token?: unknown };
  if (typeof body.token !== "string") throw new NotTaken("The server's answer is no token.");
  return body.token;
}

/** The user that a JWT names; the server checks it, this is only for showing. */
function subject(token: string): string | undefined {
  try {
    const part = token.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (c) =>
      c.charCodeAt(0),
    );
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown };
    return typeof claims.sub === "string" && claims.sub !== "" ? claims.sub : undefined;
  } catch {
    return undefined;
  }
}
