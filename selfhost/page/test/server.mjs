import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const binary = process.env.ORIEL_BIN ?? new URL("../../../bin/oriel", import.meta.url).pathname;

/** The real server, on a port and a folder of its own; it can be killed and started again. */
export class Server {
  #child;
  #data = mkdtempSync(join(tmpdir(), "oriel-browser-"));
  #port = 0;
  #log = "";
  #args;
  #env;

  /** `args` and `env` overrule those of a server for development. */
  constructor(args = ["--dev"], env = {}) {
    this.#args = args;
    this.#env = env;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  get #alive() {
    const child = this.#child;
    return child && child.exitCode === null && child.signalCode === null;
  }

  /** Starts it, unless it runs. */
  async start() {
    if (this.#alive) return;
    this.#port ||= await freePort();
    const env = {
      ...process.env,
      ...this.#env,
      ORIEL_LISTEN: `127.0.0.1:${this.#port}`,
      ORIEL_DATA: this.#data,
    };
    this.#child = spawn(binary, ["serve", ...this.#args], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const out of [this.#child.stdout, this.#child.stderr]) {
      out.on("data", (text) => {
        this.#log = (this.#log + text).slice(-4000);
      });
    }
    const gone = new Promise((_, reject) => {
      this.#child.once("error", reject);
      this.#child.once("exit", (code) => reject(new Error(`server ended (${code}): ${this.#log}`)));
    });
    gone.catch(() => {});
    await Promise.race([gone, this.#ready()]);
  }

  /** Waits a minute at most: wrangler is slow on a busy machine. */
  async #ready() {
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
      try {
        if ((await fetch(`${this.url}/readyz`)).ok) return;
      } catch {
        // Not listening yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`server is not ready: ${this.#log}`);
  }

  /** Ends it the hard way and waits until it is gone. */
  async kill() {
    const child = this.#child;
    if (!this.#alive) return;
    const exit = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exit;
  }

  async remove() {
    await this.kill();
    rmSync(this.#data, { recursive: true, force: true });
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
