// What the front is compared with: the least that checks a token's signature in JavaScript.

const keys = new Map<string, Promise<CryptoKey>>();

const bytes = (text: string) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

/** Checks the signature of a token; the key is made once. */
export async function webCrypto(by: string, token: string, secret: string): Promise<boolean> {
  const hmac = by.endsWith("hs256");
  const make = () =>
    hmac
      ? crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [
          "verify",
        ])
      : crypto.subtle.importKey("raw", bytes(secret), { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  const key = keys.get(by) ?? make();
  keys.set(by, key);
  const [header = "", claims = "", signature = ""] = token.split(".");
  const input = new TextEncoder().encode(`${header}.${claims}`);
  return crypto.subtle.verify({ name: hmac ? "HMAC" : "ECDSA", hash: "SHA-256" }, await key, bytes(signature), input);
}
