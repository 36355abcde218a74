/** Authentication-Results (RFC 8601): all that was found out, in one field. */

import { foldField, type HeaderField } from "../message/mod.ts";
import { domainToAscii } from "../smtp/mod.ts";
import type { ArcResult, AuthResults, DkimResult, DmarcResult, IprevResult, SpfResult } from "./types.ts";
import { commentText, propertyValue, quotedAscii, tokenOrQuoted } from "./value.ts";

/** A property: ptype and name, and its value; left out if that is empty. */
type Property = readonly [name: string, value: string];

/**
 * The payload of the field, also for ARC-Authentication-Results (RFC 8617 §4.1.1), with a fold before each result.
 *
 * @param authservId name of this server
 * @param ip address of the client, `""` if there is none
 */
export function authenticationResults(authservId: string, results: AuthResults, ip: string): string {
  const parts = [
    ...(results.dkim ?? []).map(dkim),
    ...[results.spfMailFrom, results.spfEhlo].flatMap((result) => result === undefined ? [] : [spf(result)]),
    ...(results.arc === undefined ? [] : [arc(results.arc, ip)]),
    ...(results.dmarc === undefined ? [] : [dmarc(results.dmarc)]),
    ...(results.iprev === undefined ? [] : [iprev(results.iprev)]),
  ];
  // RFC 8601 §2.2: where nothing was checked, that is said.
  return [tokenOrQuoted(authservId), ...(parts.length === 0 ? ["none"] : parts)].join(";\r\n\t");
}

/** A complete `Authentication-Results:` field, folded, with CRLF at its end. */
export function authenticationResultsField(authservId: string, results: AuthResults, ip: string): Uint8Array {
  return foldField("Authentication-Results", authenticationResults(authservId, results, ip));
}

function info(
  method: string,
  result: string,
  details: { reason?: string | undefined; comment?: string },
  ...properties: Property[]
) {
  const { reason, comment } = details;
  let text = `${method}=${result}`;
  if (comment !== undefined && comment !== "") text += ` (${commentText(comment)})`;
  if (reason !== undefined && result !== "pass") text += ` reason=${quotedAscii(reason)}`;
  for (const [name, value] of properties) if (value !== "") text += ` ${name}=${propertyValue(value)}`;
  return text;
}

function dkim({ result, domain, selector, algorithm, auid, signature, testing, reason }: DkimResult): string {
  return info(
    "dkim",
    result,
    { reason, ...(testing ? { comment: "the key is in testing mode" } : {}) },
    ["header.d", domain],
    ["header.s", selector],
    ["header.a", algorithm],
    ["header.i", auid],
    // RFC 6008 §4: enough of the signature to tell it from the others.
    ["header.b", signature.slice(0, 8)],
  );
}

function spf({ result, identity, domain, sender, reason }: SpfResult): string {
  // RFC 8601 §2.7.2
  const checked: Property = identity === "helo" ? ["smtp.helo", domain] : ["smtp.mailfrom", sender];
  const isError = result === "permerror" || result === "temperror";
  return info("spf", result, { reason: isError ? reason : undefined }, checked);
}

function arc({ result, instance, oldestPass, reason }: ArcResult, ip: string): string {
  // RFC 8617 §10.2
  const oldest = result === "pass" ? `${oldestPass}` : "";
  const comment = instance > 0 ? `i=${instance}` : "";
  return info("arc", result, { reason, comment }, ["header.oldest-pass", oldest], [
    "smtp.remote-ip",
    result === "none" ? "" : ip,
  ]);
}

function dmarc({ result, fromDomain, policy, disposition, record, reason }: DmarcResult): string {
  const comment = record === undefined ? "" : `p=${policy} dis=${disposition}`;
  return info("dmarc", result, { reason, comment }, ["header.from", fromDomain], [
    "policy.dmarc",
    record === undefined ? "" : policy,
  ]);
}

function iprev({ result, ip, name, reason }: IprevResult): string {
  return info("iprev", result, { reason, comment: name }, ["policy.iprev", ip]);
}

/**
 * Whether a field of this name claims to be written by one of `ids`. A message that comes in cannot carry a true one
 * (RFC 8601 §5). What others wrote stays.
 */
export function claimsToBe(field: HeaderField, ids: readonly string[]): boolean {
  const claimed = comparable(authservIdOf(field.value()));
  return ids.some((id) => comparable(id) === claimed);
}

function comparable(id: string): string {
  const name = id.endsWith(".") ? id.slice(0, -1) : id;
  return domainToAscii(name) ?? name.toLowerCase();
}

/** The authserv-id: the first token or quoted string behind comments. */
function authservIdOf(value: string): string {
  const text = value.slice(skipComments(value));
  if (!text.startsWith('"')) return /^[^\s;()"]*/.exec(text)?.[0] ?? "";
  const [, content = ""] = /^"((?:[^"\\]|\\.)*)"/.exec(text) ?? [];
  return content.replace(/\\(.)/g, "$1");
}

function skipComments(text: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "(") depth++;
    else if (char === ")" && depth > 0) depth--;
    else if (char === "\\" && depth > 0) i++;
    else if (depth === 0 && char !== " " && char !== "\t") return i;
  }
  return text.length;
}
