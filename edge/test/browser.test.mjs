// The page's own tests, unchanged, in a real Chromium against the edge worker: workerd is killed and
// started again while two talk, nothing that was acknowledged is lost, and nobody reloads.
// ORIEL_CHROMIUM and ORIEL_SHOTS as in selfhost/page/test/browser.test.mjs.

import { fileURLToPath } from "node:url";

process.env.ORIEL_BIN = fileURLToPath(new URL("./oriel.sh", import.meta.url));
await import("../../selfhost/page/test/browser.test.mjs");
