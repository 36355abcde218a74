/** Computing signatures with a private key, off the network loop where that takes long. */

import { createHash, sign } from "node:crypto";
import type { SignatureConfig } from "../../config/config.ts";

/** Signs octets; RSA answers later. Rejects if the key cannot be used. */
export type PrivateKeySigner = (data: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** Lets so many pieces of work run at once; the rest waits in line. */
export interface Gate {
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** Makes a {@link Gate}. More RSA at once than there are processors only takes them from everybody else. */
export function createGate(limit: number): Gate {
  let free = Math.max(1, limit);
  const waiting: (() => void)[] = [];
  return {
    async run(work) {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) free++;
        else next();
      }
    },
  };
}

/**
 * Makes the function that signs with a key (RFC 6376 §3.3, RFC 8463 §3).
 *
 * Ed25519 takes 20 microseconds and runs at once. RSA takes two milliseconds with 2048 bits: Web Cryptography computes it
 * on a thread of the runtime, while the callback form of `node:crypto` would do so on this one.
 */
export function createPrivateKeySigner(
  { privateKey, algorithm }: Pick<SignatureConfig, "privateKey" | "algorithm">,
  gate: Gate,
): PrivateKeySigner {
  if (algorithm === "ed25519-sha256") {
    return (data) => sign(null, createHash("sha256").update(data).digest(), privateKey);
  }
  const kind = { name: "RSASSA-PKCS1-v1_5", hash: algorithm === "rsa-sha1" ? "SHA-1" : "SHA-256" };
  const der = Uint8Array.from(privateKey.export({ type: "pkcs8", format: "der" }));
  const imported = crypto.subtle.importKey("pkcs8", der, kind, false, ["sign"]);
  // Who signs is told.
  imported.catch(() => {});
  return (data) =>
    gate.run(async () => {
      const signature = await crypto.subtle.sign(kind.name, await imported, Uint8Array.from(data));
      return new Uint8Array(signature);
    });
}
