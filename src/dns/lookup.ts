/** One lookup: the question, the chain of CNAMEs behind it, and how long its answer may be kept. */

import { BogusError, TYPE, type Validation, type Validator } from "./dnssec/mod.ts";
import { nameFromWire } from "./name.ts";
import type { Kind } from "./records.ts";
import { type Answer, DnsError, type Security } from "./resolver.ts";
import type { Upstream } from "./upstream.ts";
import { RCODE, type Response, type WireRecord } from "./wire.ts";

// More than any sane zone needs; a loop ends here.
const LONGEST_CHAIN = 12;

/** An answer and the seconds it may be kept; 0 when it may not. */
export interface TimedAnswer<T> {
  readonly answer: Answer<T>;
  readonly ttl: number;
}

/**
 * Looks up `name`, following CNAMEs (also over several questions).
 *
 * @param name canonical
 * @param validator judges the answers; without one the AD bit of the servers does
 * @throws {DnsError} if no server answers, the chain of CNAMEs does not end, or signatures do not fit
 */
export async function lookUp<T>(
  upstream: Upstream,
  kind: Kind<T>,
  name: string,
  validator?: Validator,
): Promise<TimedAnswer<T>> {
  let current = name;
  let ttl = Infinity;
  // A chain is as secure as its weakest response.
  let security: Security = "secure";
  for (let links = 0;;) {
    let proven: boolean | undefined;
    const question = { name: current, type: kind.type, unchecked: validator !== undefined };
    const response = await upstream.ask(question);
    if (validator === undefined) {
      // AD covers the whole answer section (RFC 4035 §3.2.3).
      if (!response.authentic) security = "insecure";
    } else {
      const validation = await judge(validator, question, response);
      if (security === "secure") security = validation.security;
      ttl = Math.min(ttl, validation.ttl);
      proven = validation.exists;
    }
    const asked = current;
    if (kind.type !== "CNAME") {
      for (let alias = aliasOf(response, current); alias !== undefined; alias = aliasOf(response, current)) {
        if (++links > LONGEST_CHAIN) {
          throw new DnsError(`${kind.type} of ${name}: more than ${LONGEST_CHAIN} CNAMEs in a row`, "servfail");
        }
        ttl = Math.min(ttl, alias.ttl);
        current = alias.target;
      }
    }
    const records: T[] = [];
    for (const record of response.answers) {
      if (record.type !== kind.type || nameFromWire(record.name) !== current) continue;
      ttl = Math.min(ttl, record.ttl ?? 0);
      const value = kind.read(record.data);
      if (value !== undefined) records.push(value);
    }
    // RFC 6604 §3: the response code speaks of the last name of the chain.
    const exists = proven ?? (response.rcode !== RCODE.nxDomain || records.length > 0);
    if (records.length > 0) {
      if (kind.compare !== undefined) records.sort(kind.compare);
      return { answer: { records, exists, security, name: current }, ttl };
    }
    const negative = negativeTtl(response);
    if (!exists || negative !== undefined || current === asked) {
      // RFC 2308 §5: without an SOA a negative answer is not kept.
      return { answer: { records, exists, security, name: current }, ttl: Math.min(ttl, negative ?? 0) };
    }
    // The server stopped in mid-chain: ask for the rest.
  }
}

async function judge(
  validator: Validator,
  { name, type }: { readonly name: string; readonly type: keyof typeof TYPE },
  { message }: Response,
): Promise<Validation> {
  try {
    return await validator.validate({ name, type: TYPE[type] }, message);
  } catch (error) {
    if (!(error instanceof BogusError)) throw error;
    throw new DnsError(`${type} of ${name}: DNSSEC validation failed: ${error.message}`, "bogus");
  }
}

function aliasOf(response: Response, name: string): { readonly target: string; readonly ttl: number } | undefined {
  for (const record of response.answers) {
    if (record.type === "CNAME" && nameFromWire(record.name) === name && typeof record.data === "string") {
      return { target: nameFromWire(record.data), ttl: record.ttl ?? 0 };
    }
  }
  return undefined;
}

/** RFC 2308 §5: the lesser of the SOA's TTL and its MINIMUM. */
function negativeTtl(response: Response): number | undefined {
  const soa: WireRecord | undefined = response.authorities.find((record) => record.type === "SOA");
  if (soa === undefined) return undefined;
  const { minimum } = soa.data as { minimum?: number };
  return Math.min(soa.ttl ?? 0, minimum ?? 0);
}
