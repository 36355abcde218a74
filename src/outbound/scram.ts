/** The client's messages of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding. */

import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { saslPrepare, scramKeys, scramSignature } from "../smtp/mod.ts";

/** What the client ends with, and how it knows that the server had the password, too. */
export interface ScramFinal {
  readonly message: string;
  /** Whether server-final-message proves it. */
  isProof(message: string): boolean;
}

// A hostile server must not keep a thread busy; servers in use ask for 4096 to some hundred thousand.
const MOST_ITERATIONS = 1_000_000;
const SERVER_FIRST = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,6})(?:,.*)?$/s;

/** client-first-message without its header. */
export function scramFirst(username: string, nonce: string): string {
  const name = (saslPrepare(username) ?? username).replaceAll("=", "=3D").replaceAll(",", "=2C");
  return `n=${name},r=${nonce}`;
}

/** The GS2 header: no channel binding, nobody else to act for. */
export const SCRAM_HEADER = "n,,";

/**
 * The client's answer to server-first-message.
 *
 * @param first what {@link scramFirst} gave
 * @returns `undefined` if it is no such message, or does not go on from our nonce (RFC 5802 §5.1)
 */
export async function scramFinal(
  first: string,
  nonce: string,
  challenge: string,
  password: string,
): Promise<ScramFinal | undefined> {
  const [, whole, salt, count] = SERVER_FIRST.exec(challenge) ?? [];
  if (whole === undefined || salt === undefined || !whole.startsWith(nonce) || whole === nonce) return undefined;
  const iterations = Number(count);
  if (iterations > MOST_ITERATIONS) return undefined;
  const keys = await scramKeys(password, new Uint8Array(Buffer.from(salt, "base64")), iterations);
  const withoutProof = `c=${Buffer.from(SCRAM_HEADER).toString("base64")},r=${whole}`;
  const exchange = `${first},${challenge},${withoutProof}`;
  const signature = scramSignature(keys.stored, exchange);
  const proof = keys.client.map((octet, index) => octet ^ (signature[index] ?? 0));
  const wanted = Buffer.from(`v=${Buffer.from(scramSignature(keys.server, exchange)).toString("base64")}`);
  return {
    message: `${withoutProof},p=${Buffer.from(proof).toString("base64")}`,
    isProof(message) {
      const given = Buffer.from(message.split(",", 1)[0] ?? "");
      return given.length === wanted.length && timingSafeEqual(given, wanted);
    },
  };
}
