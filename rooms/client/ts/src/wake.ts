/** The part of `window` and `document` that says when a connection may be worth a try. */
interface Source {
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
}

/**
 * Watches a browser page: `wake` when the network or the user is back, `leave` when the page
 * goes away, `back` when it returns from the browser's back-forward cache. Elsewhere it does
 * nothing. The result ends it.
 */
export function watchPage(wake: () => void, leave: () => void, back: () => void): () => void {
  const page = globalThis as { document?: Source & { visibilityState?: string } } & Source;
  const document = page.document;
  if (!document) return () => {};
  const seen = (): void => {
    if (document.visibilityState === "visible") wake();
  };
  const all: readonly (readonly [Source, string, () => void])[] = [
    [page, "online", wake],
    [page, "pagehide", leave],
    [page, "pageshow", back],
    [document, "visibilitychange", seen],
  ];
  for (const [source, type, listener] of all) source.addEventListener?.(type, listener);
  return () => {
    for (const [source, type, listener] of all) source.removeEventListener?.(type, listener);
  };
}
