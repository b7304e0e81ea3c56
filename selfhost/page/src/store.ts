/** Reads what this browser keeps; undefined if there is nothing, or storage is forbidden. */
export function read(storage: "localStorage" | "sessionStorage", key: string): string | undefined {
  try {
    return globalThis[storage].getItem(`oriel:${key}`) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a value, as far as the browser allows. */
export function write(
  storage: "localStorage" | "sessionStorage",
  key: string,
  value: string,
): void {
  try {
    globalThis[storage].setItem(`oriel:${key}`, value);
  } catch {
    // Full or forbidden: it is forgotten with the page.
  }
}

/** The tab's storage, if it may be used. */
export function tabStorage(): Storage | undefined {
  try {
    return sessionStorage;
  } catch {
    return undefined;
  }
}
