// Tokens as an application signs them.

import { createHmac, generateKeyPairSync, sign } from "node:crypto";

export const secret = "a secret of the benchmarks: 32 bytes and more";

const encode = (s: string) => Buffer.from(s).toString("base64url");

function payload(alg: string, user: string): string {
  const claims = { sub: user, exp: Math.floor(Date.now() / 1000) + 3600 };
  return `${encode(JSON.stringify({ alg, typ: "JWT" }))}.${encode(JSON.stringify(claims))}`;
}

/** A token by HS256. */
export function hs256(user: string): string {
  const text = payload("HS256", user);
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
const jwk = pair.publicKey.export({ format: "jwk" });

/** The public key of {@link es256} as an uncompressed point, base64url. */
export const es256Key = Buffer.concat([
  Buffer.from([4]),
  Buffer.from(jwk.x ?? "", "base64url"),
  Buffer.from(jwk.y ?? "", "base64url"),
]).toString("base64url");

/** A token by ES256. */
export function es256(user: string): string {
  const text = payload("ES256", user);
  const signature = sign("sha256", Buffer.from(text), { key: pair.privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}
