/** Reports whether a subprotocol is the session protocol, whose clients ping. */
export function pings(protocol: string): boolean {
  return protocol.startsWith("oriel.v1.");
}

/** The answer to the session protocol's binary ping. */
export const binaryPong = new Uint8Array([0x19]);

/** The session protocol's binary ping is answered by the host, but wakes the object. */
export function isBinaryPing(protocol: string, message: string | ArrayBuffer): boolean {
  if (protocol !== "oriel.v1.bin" || typeof message === "string" || message.byteLength !== 1) return false;
  return new Uint8Array(message)[0] === 0x06;
}
