import { codes } from "../host/abi.gen.ts";
import { errorResponse } from "../host/answers.ts";
import { type Bill, tableOf } from "../host/bill.ts";

const loopback = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** GET /v1/dev/bill: a table, or JSON for who accepts it. On a dev server and to this machine only. */
export function billResponse(request: Request, bill: Bill | undefined): Response {
  if (bill === undefined || !loopback.has(new URL(request.url).hostname)) return errorResponse(codes.notFound);
  const report = bill.report();
  const headers = { "cache-control": "no-store" };
  if (request.headers.get("accept")?.includes("application/json")) return Response.json(report, { headers });
  return new Response(tableOf(report), { headers: { ...headers, "content-type": "text/plain; charset=utf-8" } });
}
