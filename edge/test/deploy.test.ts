// wrangler.toml as `make deploy` uses it, up to the upload: production, and the environment that it shows.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));

for (const env of ["", "staging"]) {
  test(`wrangler deploy --dry-run --env "${env}"`, async () => {
    const wrangler = `${root}node_modules/wrangler/wrangler-dist/cli.js`;
    const args = [wrangler, "deploy", "--dry-run", "--env", env];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: root });
    for (const binding of ["SHIPPED (Shipped)", "PRESENCE (Presence)", "CONNECTS (", "ASKS (", "ASSETS"])
      assert.ok(stdout.includes(`env.${binding}`), `no ${binding} in:\n${stdout}`);
    assert.doesNotMatch(stdout + stderr, /WARNING/);
    console.log(`deploy ${env || "production"}: ${/Total Upload: .*/.exec(stdout)?.[0]}`);
  });
}
