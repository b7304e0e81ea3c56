// What the front costs.

import type { Host } from "../test/harness.ts";
import { compare, median, print, timed } from "./figures.ts";
import { es256, hs256 } from "./tokens.ts";

/**
 * A request that the front of the deployed worker refuses once it has verified the token, because there are no
 * event streams, beside the same request for what never comes to the front.
 */
export async function verdict(app: Host): Promise<void> {
  const get = (path: string, want: number) => (i: number) => {
    const headers = { authorization: `Bearer ${hs256(`user-${i}`)}`, accept: "text/event-stream" };
    return timed(async () => {
      const r = await fetch(app.at(path), { headers });
      await r.arrayBuffer();
      if (r.status !== want) throw new Error(`${path}: status ${r.status}`);
    });
  };
  const refused = get("/v1/rooms/chat/x", 404);
  print("edge_front_first", await refused(0), "ms");
  const ms = await compare({ without: get("/healthz", 200), refused });
  print("edge_front_verdict_p50", ms.refused - ms.without, "ms");
}

/** Signatures by the thousand: the Go front, and WebCrypto alone in JavaScript. */
export async function signatures(bench: Host): Promise<void> {
  const some = 20;
  const ask = async (by: string, tokens: readonly string[]) => {
    const r = await fetch(bench.at(`/verdicts/${by}`), { method: "POST", body: tokens.join("\n") });
    const { admitted } = (await r.json()) as { admitted: number };
    if (admitted !== tokens.length) throw new Error(`${by}: ${admitted} of ${tokens.length} tokens are good`);
  };
  for (const [name, by, mint] of [
    ["edge_front_hs256", "hs256", hs256],
    ["edge_webcrypto_hs256", "webcrypto-hs256", hs256],
    ["edge_front_es256", "es256", es256],
    ["edge_webcrypto_es256", "webcrypto-es256", es256],
  ] as const) {
    const each: number[] = [];
    for (let round = 0; round < 50; round++) {
      const tokens = Array.from({ length: some }, (_, i) => mint(`user-${round}-${i}`));
      const none = await timed(() => ask(by, []));
      const all = await timed(() => ask(by, tokens));
      if (round >= 10) each.push((all - none) / some);
    }
    print(name, median(each), "ms");
  }
}
