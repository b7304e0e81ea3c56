// A client that only counts what it gets, as cheaply as Node can: with a thousand of them, a whole
// WebSocket client for each would be what is measured.

import { randomBytes } from "node:crypto";
import { request } from "node:http";
import type { Socket } from "node:net";

export class Reader {
  /** The frames that have come. */
  frames = 0;
  readonly #socket: Socket;
  /** Bytes of the present frame that are still to come, and the part of a header that has come. */
  #left = 0;
  #head: number[] = [];

  private constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    this.#read(head);
    socket.on("data", (chunk) => this.#read(chunk));
  }

  /** Opens a WebSocket (RFC 6455, section 4.1). */
  static dial(url: URL, protocol: string): Promise<Reader> {
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": randomBytes(16).toString("base64"),
      ...(protocol !== "" && { "sec-websocket-protocol": protocol }),
    };
    return new Promise((resolve, reject) => {
      const asked = request(url, { headers });
      asked.on("upgrade", (_, socket, head) => resolve(new Reader(socket as Socket, head)));
      asked.on("response", (r) => reject(new Error(`the upgrade is answered with status ${r.statusCode}`)));
      asked.on("error", reject);
      asked.end();
    });
  }

  /** Sends a text of at most 125 bytes of ASCII. Its mask is zero, which leaves it as it is. */
  send(text: string): void {
    this.#socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Walks over frames, which servers do not mask. */
  #read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const n = Math.min(this.#left, chunk.length - at);
        this.#left -= n;
        at += n;
        continue;
      }
      this.#head.push(chunk[at++] as number);
      const size = this.#head[1];
      if (size === undefined || (size === 126 && this.#head.length < 4)) continue;
      if (size === 127) throw new Error("a frame is larger than any of the benchmark");
      this.#left = size === 126 ? (this.#head[2] as number) * 256 + (this.#head[3] as number) : size;
      this.#head = [];
      this.frames++;
    }
  }
}
