/** What mechanisms share that prove a password without sending it. */

import { randomBytes } from "node:crypto";
import type { Directory } from "../directory/mod.ts";
import type { SaslResult } from "./sasl_exchange.ts";

/** Most secrets of one account that are tried; each costs a key derivation. */
const MOST_SECRETS = 8;

/**
 * The plain secrets of an account. One that does not exist, or has none, has a secret that nobody can know, so that
 * the exchange takes its usual course.
 */
export async function secretsOf(directory: Directory, name: string): Promise<readonly string[]> {
  const secrets = await directory.plainSecrets?.(name) ?? [];
  return secrets.length > 0 ? secrets.slice(0, MOST_SECRETS) : [randomBytes(16).toString("hex")];
}

/** The account of a name whose secret was proven, or not. */
export async function accountWith(directory: Directory, name: string, proven: boolean): Promise<SaslResult> {
  const account = proven ? await directory.account(name) : undefined;
  return account === undefined ? { kind: "refused", name } : { kind: "accepted", account, name };
}
