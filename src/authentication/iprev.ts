/** The reverse lookup (RFC 8601 §3): does the name of an address lead back to it? */

import { type Answer, DnsError } from "../dns/resolver.ts";
import type { CheckContext, IprevResult } from "./types.ts";

/** Names that are looked at; whoever publishes more does not want to be found. */
const MOST_NAMES = 10;

/**
 * Looks `ip` up and each of its names back.
 *
 * @param ip in the one spelling that the resolver gives addresses in
 * @returns `pass` for a name that leads back, `fail` if none does, `permerror` if there is no name, `temperror` if DNS
 * did not answer and so nobody knows
 */
export async function checkIprev(ip: string, { resolver }: CheckContext): Promise<IprevResult> {
  const result = (word: IprevResult["result"], name: string, reason?: string): IprevResult => ({
    method: "iprev",
    result: word,
    ip,
    name,
    ...(reason === undefined ? {} : { reason }),
  });
  const reverse = await answerOf(() => resolver.ptr(ip));
  // Not the message of the error: the servers that were asked are nobody's business who reads the header.
  if (reverse instanceof DnsError) {
    return result("temperror", "", `the name of the address could not be looked up: ${reverse.reason}`);
  }
  const [first] = reverse.records;
  if (first === undefined) return result("permerror", "", "the address has no name");
  let trouble: string | undefined;
  for (const name of reverse.records.slice(0, MOST_NAMES)) {
    const forward = await answerOf(() => ip.includes(":") ? resolver.aaaa(name) : resolver.a(name));
    if (forward instanceof DnsError) trouble = `${name} could not be looked up: ${forward.reason}`;
    else if (forward.records.includes(ip)) return result("pass", name);
  }
  return trouble === undefined
    ? result("fail", first, "no name of the address leads back to it")
    : result("temperror", first, trouble);
}

async function answerOf<T>(ask: () => Promise<Answer<T>>): Promise<Answer<T> | DnsError> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof DnsError) return error;
    throw error;
  }
}
