/** The two texts of MTA-STS (RFC 8461): the TXT record that announces a policy, and the policy. */

/** A policy as a domain publishes it (RFC 8461 §3.2). */
export interface StsPolicy {
  readonly mode: "enforce" | "testing" | "none";
  /** Seconds that the policy may be kept, at most {@link LONGEST_LIFE}. */
  readonly maxAge: number;
  /** Names of mail hosts in lower case; one that begins with `*.` stands for all names with one label more. */
  readonly mx: readonly string[];
}

/** What is wrong with a policy. */
export class StsPolicyError extends Error {
  override readonly name = "StsPolicyError";
}

/** Longest life of a policy in seconds, a leap year (RFC 8461 §3.2). */
export const LONGEST_LIFE = 31_557_600;

/** A policy does not get longer than this, in octets (RFC 8461 §3.3). */
export const LARGEST_POLICY = 64 * 1024;

const RECORD_PREFIX = "v=STSv1;";
// RFC 8461 §3.1: sts-id, sts-extension.
const FIELD = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c\x3e-\x7e]+)$/;
const ID = /^[A-Za-z0-9]{1,32}$/;

/**
 * The id of the policy that TXT records at `_mta-sts.<domain>` announce (RFC 8461 §3.1).
 *
 * @returns `undefined` if there is no such record, more than one, or one that is malformed
 */
export function announcedId(records: readonly string[]): string | undefined {
  const announcing = records.filter((text) => text.startsWith(RECORD_PREFIX));
  const [record] = announcing;
  if (record === undefined || announcing.length > 1) return undefined;
  const fields = record.slice(RECORD_PREFIX.length).split(";").map((field) => field.replace(/^[ \t]+|[ \t]+$/g, ""));
  // The last delimiter needs nothing behind it.
  if (fields.at(-1) === "") fields.pop();
  let id: string | undefined;
  for (const field of fields) {
    const [, name, value] = FIELD.exec(field) ?? [];
    if (name === undefined || value === undefined) return undefined;
    if (name !== "id") continue;
    if (id !== undefined || !ID.test(value)) return undefined;
    id = value;
  }
  return id;
}

// RFC 8461 §3.2: sts-policy-ext-name, and the colon behind every name.
const POLICY_FIELD = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(.*)$/;
const MX = /^(?:\*\.)?(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/;
const MODES = ["enforce", "testing", "none"] as const;

/**
 * Reads a policy. Lines end in LF or CRLF; unknown fields are passed over, and of a field that may be there only once the
 * first counts. A life longer than {@link LONGEST_LIFE} is cut.
 *
 * @throws {StsPolicyError} if it is none
 */
export function parsePolicy(text: string): StsPolicy {
  const first = new Map<string, string>();
  const mx: string[] = [];
  for (const [index, whole] of text.split(/\r?\n/).entries()) {
    const line = whole.replace(/[ \t]+$/, "");
    // The grammar has no empty lines; they can mean only one thing, though.
    if (line === "") continue;
    const [, name, value] = POLICY_FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new StsPolicyError(`line ${index + 1} is no 'name: value'`);
    if (name === "mx") mx.push(mxPattern(value, index + 1));
    else if (!first.has(name)) first.set(name, value);
  }
  const required = (name: string): string => {
    const value = first.get(name);
    if (value === undefined) throw new StsPolicyError(`it has no '${name}'`);
    return value;
  };
  const version = required("version");
  if (version !== "STSv1") throw new StsPolicyError(`its version is '${shown(version)}', not STSv1`);
  const mode = required("mode");
  const known = MODES.find((one) => one === mode);
  if (known === undefined) throw new StsPolicyError(`its mode is '${shown(mode)}', not enforce, testing or none`);
  const maxAge = required("max_age");
  if (!/^[0-9]{1,10}$/.test(maxAge)) throw new StsPolicyError(`its max_age '${shown(maxAge)}' is no number of seconds`);
  if (mx.length === 0 && known !== "none") throw new StsPolicyError(`it names no mx, as mode ${known} needs`);
  return { mode: known, maxAge: Math.min(Number(maxAge), LONGEST_LIFE), mx };
}

function mxPattern(value: string, line: number): string {
  const pattern = value.toLowerCase().replace(/\.$/, "");
  if (!MX.test(pattern) || pattern.length > 255) {
    throw new StsPolicyError(`the mx '${shown(value)}' in line ${line} is no host name`);
  }
  return pattern;
}

function shown(value: string): string {
  return value.length > 60 ? `${value.slice(0, 60)}...` : value;
}

/**
 * Whether a policy allows a host (RFC 8461 §4.1): names are the same, or differ in the first label where the pattern has
 * `*`.
 */
export function allowsHost({ mx }: StsPolicy, host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  const dot = name.indexOf(".");
  const wildcard = dot > 0 ? `*${name.slice(dot)}` : undefined;
  return mx.some((pattern) => pattern === name || pattern === wildcard);
}

/** The policy as text, without what is not part of it. */
export function policyLines({ mode, maxAge, mx }: StsPolicy): readonly string[] {
  return ["version: STSv1", `mode: ${mode}`, ...mx.map((name) => `mx: ${name}`), `max_age: ${maxAge}`];
}
