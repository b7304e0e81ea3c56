// What is uploaded, and how long the platform takes to start it.

import { upload, wrangler } from "../upload.ts";
import { print } from "./figures.ts";

export function size(): void {
  const { total } = upload();
  print("edge_upload_gzip", total, "KiB");
  print("edge_upload_gzip_of_3MiB", total / 3072, "ratio");
  const said = wrangler("check", "startup", "--outfile", "edge/build/startup.cpuprofile");
  const ms = (what: string) => Number(new RegExp(`${what}: ([\\d.]+) ms`).exec(said)?.[1]);
  print("edge_startup_cpu", ms("Active"), "ms");
  print("edge_startup_of_400ms", ms("Active") / 400, "ratio");
}
