// What a deployment uploads, by wrangler's own count; ends with an error if an account does not take it.
//
//   npm run size:edge                        after edge/build.sh app
//   ORIEL_UPLOAD_LIMIT=10240 npm run size:edge    a paid account takes 10 MiB, a free one 3

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What a free account takes, gzipped, in KiB (developers.cloudflare.com/workers/platform/limits, 2026). */
const freeLimit = 3072;

/** Runs wrangler, and returns what it says. */
export function wrangler(...args: string[]): string {
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", NO_COLOR: "1" };
  return execFileSync(process.execPath, ["node_modules/wrangler/bin/wrangler.js", ...args], {
    cwd: root,
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
}

export interface Upload {
  /** Gzipped, in KiB, all files together. */
  total: number;
  /** Gzipped, in KiB, each by itself. */
  files: [name: string, size: number][];
}

/** Builds the upload and measures it. */
export function upload(): Upload {
  const dir = "edge/build/upload";
  rmSync(`${root}/${dir}`, { recursive: true, force: true });
  const said = wrangler("deploy", "--dry-run", "--outdir", dir, "--env", process.env.ORIEL_ENV ?? "");
  const total = Number(/gzip: ([\d.]+) KiB/.exec(said)?.[1]);
  if (!(total > 0)) throw new Error(`wrangler does not say what it would upload:\n${said}`);
  const files = readdirSync(`${root}/${dir}`)
    .filter((name) => /\.(js|wasm)$/.test(name))
    .map((name): Upload["files"][number] => {
      const size = gzipSync(readFileSync(`${root}/${dir}/${name}`)).length / 1024;
      return [name.replace(/^[0-9a-f]{40}-/, ""), size];
    });
  return { total, files: files.sort(([, a], [, b]) => b - a) };
}

/** Prints the sizes. Returns false if they are over the limit. */
function report(): boolean {
  const limit = Number(process.env.ORIEL_UPLOAD_LIMIT ?? freeLimit);
  if (!(limit > 0)) throw new Error("ORIEL_UPLOAD_LIMIT is no number of KiB");
  const { total, files } = upload();
  for (const [name, size] of files) console.log(`${size.toFixed(0).padStart(6)} KiB  ${name}`);
  console.log(`${total.toFixed(0).padStart(6)} KiB  the upload, gzipped, of ${limit}`);
  if (total <= limit) return true;
  console.error(
    `The upload is larger than the account takes: ${total.toFixed(0)} of ${limit} KiB, gzipped. A paid account takes ` +
      "10240: set ORIEL_UPLOAD_LIMIT=10240, or ship fewer modules (edge/modules.toml).",
  );
  return false;
}

if (import.meta.main && !report()) process.exitCode = 1;
