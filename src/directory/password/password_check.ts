/** Checking a password against all secrets of an account, without telling by time whether there is one. */

import type { PasswordPool } from "./password_pool.ts";
import { readSecret } from "./secret.ts";

/** Checks a password against secrets; an account that does not exist has none. */
export type PasswordCheck = (secrets: readonly string[], password: string) => Promise<boolean>;

/**
 * Makes a check. Where no slow hash was spent on an answer, one that was seen before is checked for nothing: who has no
 * account, or only a cheap secret, waits as long as everybody else.
 *
 * @param known secrets to take the stand-in from; otherwise it is the last slow one that was checked
 */
export function createPasswordCheck(pool: Pick<PasswordPool, "verify">, known: readonly string[] = []): PasswordCheck {
  let standIn = mostCommon(known);
  const learns = standIn === undefined;
  return async (secrets, password) => {
    let accepted = false;
    let spent = false;
    for (const secret of secrets) {
      const scheme = schemeOf(secret);
      if (scheme !== undefined && learns) standIn = { scheme, secret };
      spent ||= scheme !== undefined && scheme === standIn?.scheme;
      accepted = await pool.verify(secret, password);
      if (accepted) break;
    }
    if (standIn !== undefined && !spent) await pool.verify(standIn.secret, password);
    return accepted;
  };
}

interface StandIn {
  readonly scheme: string;
  readonly secret: string;
}

/** A secret of the slow kind that most of these have. */
function mostCommon(secrets: readonly string[]): StandIn | undefined {
  const counts = new Map<string, number>();
  let most: StandIn | undefined;
  for (const secret of secrets) {
    const scheme = schemeOf(secret);
    if (scheme === undefined) continue;
    const count = (counts.get(scheme) ?? 0) + 1;
    counts.set(scheme, count);
    if (most === undefined || count > (counts.get(most.scheme) ?? 0)) most = { scheme, secret };
  }
  return most;
}

function schemeOf(secret: string): string | undefined {
  const read = readSecret(secret);
  return read.kind === "slow" ? read.scheme : undefined;
}

/** The texts of those secrets that are plain text. */
export function plainTexts(secrets: readonly string[]): readonly string[] {
  return secrets.flatMap((secret) => {
    const read = readSecret(secret);
    return read.kind === "plain" && read.text !== "" ? [read.text] : [];
  });
}
