import { OrielError } from "./errors.ts";
import type { ClientOptions } from "./options.ts";

const namePattern = /^(?!\.\.?$)[A-Za-z0-9._~-]{1,128}$/;

/** Checks the name of a kind or a room. Throws a `bad_name` OrielError. */
export function checkName(name: string): string {
  if (namePattern.test(name)) return name;
  throw new OrielError("bad_name", JSON.stringify(name));
}

/** The room's address. Throws a TypeError if the base is none. */
export function address(options: ClientOptions): string {
  const page = (globalThis as { location?: { href: string } }).location;
  const url = new URL(options.url, page?.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/rooms/${options.kind}/${options.room}`;
  url.search = options.device ? `device=${encodeURIComponent(options.device)}` : "";
  url.hash = "";
  return url.href;
}
